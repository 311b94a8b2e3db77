/*
 * A small convolutional network by hand: forward, backward and update in plain loops, and no library.
 *
 *     plaingrad case -o case.json
 *     cc -std=c11 -O2 -o main main.c -lm
 *     ./main case.json > answer.json      (or: ./main < case.json > answer.json)
 *     plaingrad check case.json answer.json
 *
 * One letter an axis: image n, channel or input c, filter or unit k, output row i and column j, window row u and column v.
 * What enters a layer is x, what leaves it y, its weights w and biases b. A d before the name is the gradient of the
 * loss with respect to it: dy comes from the layer above, dx goes to the layer below.
 */
#include "json.h"
#include "tensor.h"

typedef struct Layer {
    const char *name;
    const struct Kind *kind;
    int size[2], stride[2], padding[2], dilation[2]; /* rows and columns */
    Tensor x, y, dx, dy;                             /* what went through it last */
    Tensor w, dw, b, db;                             /* not for each kind */
} Layer;

/* How often a window fits: a remainder that is shorter than the stride is never reached. With a dilation its pixels lie
   that far apart. */
static int windows(int extent, int size, int stride, int dilation) {
    int reach = (size - 1) * dilation + 1;
    require(extent >= reach, "a window of %d does not fit into %d rows or columns", reach, extent);
    return (extent - reach) / stride + 1;
}

/* x in a frame of zeros, so that no loop has to ask whether it is still inside the image. */
static Tensor pad(Tensor x, const int *padding) {
    Tensor px = tensor(4, x.shape[0], x.shape[1], x.shape[2] + 2 * padding[0], x.shape[3] + 2 * padding[1]);
    EACH(x, n, c, i, j) *at(px, n, c, i + padding[0], j + padding[1]) = *at(x, n, c, i, j);
    return px;
}

/* A cross-correlation, in fact: the kernel is not turned. */
static void conv_forward(Layer *l) {
    Tensor px = pad(l->x, l->padding), w = l->w;
    require(l->x.rank == 4 && w.rank == 4 && w.shape[1] == px.shape[1],
            "%s has weights for %d channels and got %d", l->name, w.shape[1], px.shape[1]);
    int rows = windows(px.shape[2], w.shape[2], l->stride[0], l->dilation[0]);
    int columns = windows(px.shape[3], w.shape[3], l->stride[1], l->dilation[1]);
    l->y = tensor(4, px.shape[0], w.shape[0], rows, columns);
    EACH(l->y, n, k, i, j) {
        double sum = l->b.numbers ? l->b.numbers[k] : 0;
        for (int c = 0; c < w.shape[1]; c++)
            for (int u = 0; u < w.shape[2]; u++)
                for (int v = 0; v < w.shape[3]; v++)
                    sum += *at(w, k, c, u, v) * *at(px, n, c, i * l->stride[0] + u * l->dilation[0],
                                                    j * l->stride[1] + v * l->dilation[1]);
        *at(l->y, n, k, i, j) = sum;
    }
}

/* One weight is used at every position of every image: its gradient is the sum over all its uses. */
static void conv_backward_weights(Layer *l) {
    Tensor px = pad(l->x, l->padding), dy = l->dy;
    EACH(l->dw, k, c, u, v)
        for (int n = 0; n < dy.shape[0]; n++)
            for (int i = 0; i < dy.shape[2]; i++)
                for (int j = 0; j < dy.shape[3]; j++)
                    *at(l->dw, k, c, u, v) +=
                        *at(dy, n, k, i, j) * *at(px, n, c, i * l->stride[0] + u * l->dilation[0],
                                                  j * l->stride[1] + v * l->dilation[1]);
}

/* The bias is added at every position of every image, so its gradient is the sum of all their errors. */
static void backward_bias(Layer *l) {
    EACH(l->dy, n, k, i, j) l->db.numbers[k] += *at(l->dy, n, k, i, j);
}

/* Each error goes back the way it came: to every pixel under its window, times the weight that looked there.
   Windows overlap and all filters look at the same pixel, hence +=. Written from the errors' side the kernel is not
   turned: u and v are the same here as on the way forward. */
static void conv_backward_input(Layer *l) {
    Tensor dpx = zeros_like(pad(l->x, l->padding)), w = l->w;
    EACH(l->dy, n, k, i, j)
        for (int c = 0; c < w.shape[1]; c++)
            for (int u = 0; u < w.shape[2]; u++)
                for (int v = 0; v < w.shape[3]; v++)
                    *at(dpx, n, c, i * l->stride[0] + u * l->dilation[0], j * l->stride[1] + v * l->dilation[1]) +=
                        *at(w, k, c, u, v) * *at(l->dy, n, k, i, j);
    /* without the frame: zeros that were put around an image have no gradient to pass on */
    EACH(l->dx, n, c, i, j) *at(l->dx, n, c, i, j) = *at(dpx, n, c, i + l->padding[0], j + l->padding[1]);
}

static void relu_forward(Layer *l) {
    l->y = zeros_like(l->x);
    EACH(l->x, n, c, i, j) *at(l->y, n, c, i, j) = fmax(*at(l->x, n, c, i, j), 0);
}

/* An error passes where the unit was on; at 0 itself the slope is taken as 0. */
static void relu_backward_input(Layer *l) {
    EACH(l->x, n, c, i, j) *at(l->dx, n, c, i, j) = *at(l->x, n, c, i, j) > 0 ? *at(l->dy, n, c, i, j) : 0;
}

/* Where in x the largest value under the window of output (i, j) is; of equal ones the first in reading order. What
   lies in the padding is no value, not even a zero; it is less than the window, which so holds a pixel at least. */
static size_t winner(const Layer *l, int n, int c, int i, int j) {
    double *best = NULL;
    for (int u = 0; u < l->size[0]; u++)
        for (int v = 0; v < l->size[1]; v++) {
            int row = i * l->stride[0] + u - l->padding[0], column = j * l->stride[1] + v - l->padding[1];
            if (row < 0 || row >= l->x.shape[2] || column < 0 || column >= l->x.shape[3]) continue;
            double *other = at(l->x, n, c, row, column);
            if (!best || *other > *best) best = other;
        }
    return (size_t)(best - l->x.numbers);
}

static void maxpool_forward(Layer *l) {
    require(l->x.rank == 4, "%s got a flat input", l->name);
    for (int axis = 0; axis < 2; axis++)
        require(l->padding[axis] < l->size[axis], "%s: the padding is less than the window", l->name);
    int rows = windows(l->x.shape[2] + 2 * l->padding[0], l->size[0], l->stride[0], 1);
    int columns = windows(l->x.shape[3] + 2 * l->padding[1], l->size[1], l->stride[1], 1);
    l->y = tensor(4, l->x.shape[0], l->x.shape[1], rows, columns);
    EACH(l->y, n, c, i, j) *at(l->y, n, c, i, j) = l->x.numbers[winner(l, n, c, i, j)];
}

/* The error goes to the winner alone: had another pixel been a little larger, the output would be the same.
   Where windows overlap one pixel may have won several times: it is paid for each, hence +=. */
static void maxpool_backward_input(Layer *l) {
    EACH(l->dy, n, c, i, j) l->dx.numbers[winner(l, n, c, i, j)] += *at(l->dy, n, c, i, j);
}

/* Both arrays lie in memory in reading order, so that only the shape is another. */
static void flatten_forward(Layer *l) {
    l->y = tensor(2, l->x.shape[0], l->x.shape[1] * l->x.shape[2] * l->x.shape[3], 1, 1);
    memcpy(l->y.numbers, l->x.numbers, size_of(l->x) * sizeof(double));
}

static void flatten_backward_input(Layer *l) {
    memcpy(l->dx.numbers, l->dy.numbers, size_of(l->dx) * sizeof(double));
}

static void dense_forward(Layer *l) {
    int inputs = l->x.shape[1];
    require(l->x.rank == 2 && l->w.rank == 2 && l->w.shape[1] == inputs,
            "%s has weights for %d inputs and got %d", l->name, l->w.shape[1], inputs);
    l->y = tensor(2, l->x.shape[0], l->w.shape[0], 1, 1);
    EACH(l->y, n, k, i, j) {
        double sum = l->b.numbers ? l->b.numbers[k] : 0;
        for (int c = 0; c < inputs; c++) sum += *at(l->w, k, c, 0, 0) * *at(l->x, n, c, 0, 0);
        *at(l->y, n, k, i, j) = sum;
    }
}

static void dense_backward_weights(Layer *l) {
    for (int n = 0; n < l->x.shape[0]; n++)
        EACH(l->dw, k, c, i, j) *at(l->dw, k, c, i, j) += *at(l->dy, n, k, 0, 0) * *at(l->x, n, c, 0, 0);
}

/* The same weights the other way: each input is told by every unit that it fed. */
static void dense_backward_input(Layer *l) {
    for (int n = 0; n < l->x.shape[0]; n++)
        EACH(l->w, k, c, i, j) *at(l->dx, n, c, 0, 0) += *at(l->w, k, c, i, j) * *at(l->dy, n, k, 0, 0);
}

/* What each kind of layer does; dx is made and filled with zeros before backward_input is called. */
typedef struct Kind {
    const char *name;
    void (*forward)(Layer *), (*backward_input)(Layer *), (*backward_weights)(Layer *);
} Kind;

static const Kind kinds[] = {
    {"Conv", conv_forward, conv_backward_input, conv_backward_weights},
    {"ReLU", relu_forward, relu_backward_input, NULL},
    {"MaxPool", maxpool_forward, maxpool_backward_input, NULL},
    {"Flatten", flatten_forward, flatten_backward_input, NULL},
    {"Dense", dense_forward, dense_backward_input, dense_backward_weights},
};

/* The logarithm of the sum of exp(score). The largest score is taken off first, so that exp cannot overflow. */
static double log_sum(Tensor scores, int n) {
    double top = *at(scores, n, 0, 0, 0), sum = 0;
    for (int k = 0; k < scores.shape[1]; k++) top = fmax(top, *at(scores, n, k, 0, 0));
    for (int k = 0; k < scores.shape[1]; k++) sum += exp(*at(scores, n, k, 0, 0) - top);
    return top + log(sum);
}

/* Minus the logarithm of the probability of the right class, its mean over the images. */
static double loss_forward(Tensor scores, Tensor target) {
    double sum = 0;
    EACH(scores, n, k, i, j) sum += *at(target, n, k, i, j) * (log_sum(scores, n) - *at(scores, n, k, i, j));
    return sum / scores.shape[0];
}

/* Softmax and logarithm together leave probability - target. The division is the mean's: no layer divides again. */
static Tensor loss_backward(Tensor scores, Tensor target) {
    Tensor dx = zeros_like(scores);
    EACH(dx, n, k, i, j) {
        double probability = exp(*at(scores, n, k, i, j) - log_sum(scores, n));
        *at(dx, n, k, i, j) = (probability - *at(target, n, k, i, j)) / scores.shape[0];
    }
    return dx;
}

static void descend(Tensor w, Tensor dw, double rate) {
    for (size_t p = 0; w.numbers && p < size_of(w); p++) w.numbers[p] -= rate * dw.numbers[p];
}

static Tensor forward(Layer *layers, int count, Tensor x) {
    for (int at = 0; at < count; at++) {
        layers[at].x = x;
        layers[at].kind->forward(&layers[at]);
        x = layers[at].y;
    }
    return x;
}

static void backward(Layer *layers, int count, Tensor error) {
    for (int at = count - 1; at >= 0; at--) {
        Layer *l = &layers[at];
        l->dy = error;
        clear(l->dw); /* what the last batch left there is no part of this gradient */
        clear(l->db);
        if (l->w.numbers) l->kind->backward_weights(l);
        if (l->b.numbers) backward_bias(l);
        l->dx = zeros_like(l->x);
        l->kind->backward_input(l);
        error = l->dx;
    }
}

/* A setting of rows and columns, if the layer has it. */
static void read_pair(const Json *layer, const char *name, int least, int *pair) {
    pair[0] = pair[1] = least;
    if (!json_find(layer, name)) return;
    const Json *first = json_get(layer, name, '[')->first;
    for (int axis = 0; axis < 2; axis++, first = first->next) {
        require(first && first->number >= least && first->number < 10000, "%s is a pair of at least %d", name, least);
        pair[axis] = (int)first->number;
    }
}

/* The array that belongs to the layer, such as conv1.w, if there is one. */
static Tensor read_weights(const Json *weights, const char *layer, const char *part) {
    char *name = allocate(strlen(layer) + strlen(part) + 1);
    const Json *found = json_find(weights, strcat(strcpy(name, layer), part));
    return found ? tensor_of(found) : (Tensor){0};
}

static Layer read_layer(const Json *from, const Json *weights) {
    Layer l = {.name = json_get(from, "name", '"')->text};
    const char *kind = json_get(from, "kind", '"')->text;
    for (size_t p = 0; p < sizeof kinds / sizeof *kinds; p++)
        if (strcmp(kinds[p].name, kind) == 0) l.kind = &kinds[p];
    require(l.kind != NULL, "%s: there is no %s here; this program knows Conv, ReLU, MaxPool, Flatten, Dense",
            l.name, kind);
    const Json *groups = json_find(from, "groups");
    read_pair(from, "size", 1, l.size);
    read_pair(from, "stride", 1, l.stride);
    read_pair(from, "padding", 0, l.padding);
    read_pair(from, "dilation", 1, l.dilation);
    require(!groups || groups->number == 1, "%s: this program knows no groups but 1", l.name);
    if (!l.kind->backward_weights) return l;
    l.w = read_weights(weights, l.name, ".w");
    l.b = read_weights(weights, l.name, ".b");
    require(l.w.numbers && (!l.b.numbers || (l.b.rank == 1 && l.b.shape[0] == l.w.shape[0])),
            "%s needs weights, and a bias for each filter or unit or none", l.name);
    l.dw = zeros_like(l.w);
    if (l.b.numbers) l.db = zeros_like(l.b);
    return l;
}

/* What the layers hold under a name such as conv1.dw; not there if nobody has it. */
static Tensor find(const Layer *layers, int count, const char *name) {
    for (const Layer *l = layers; l < layers + count; l++) {
        size_t length = strlen(l->name);
        if (strncmp(name, l->name, length) != 0 || name[length] != '.') continue;
        const struct { const char *name; Tensor value; } parts[] = {
            {"y", l->y}, {"dx", l->dx}, {"dy", l->dy}, {"w", l->w}, {"dw", l->dw}, {"b", l->b}, {"db", l->db}};
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            if (strcmp(parts[p].name, name + length + 1) == 0) return parts[p].value;
    }
    return (Tensor){0};
}

int main(int count, char **arguments) {
    atexit(free_all);
    FILE *file = count > 1 ? fopen(arguments[1], "rb") : stdin;
    require(file != NULL, "%s cannot be opened", arguments[count > 1]);
    const Json *given = json_read(file);
    if (file != stdin) fclose(file);

    const char *loss_kind = json_get(json_get(given, "loss", '{'), "kind", '"')->text;
    require(strcmp(loss_kind, "SoftmaxCrossEntropy") == 0, "this program knows no loss but SoftmaxCrossEntropy");
    const Json *described = json_get(json_get(given, "network", '{'), "layers", '[');
    Layer *layers = allocate((size_t)described->count * sizeof(Layer));
    int depth = 0;
    for (const Json *each = described->first; each; each = each->next)
        layers[depth++] = read_layer(each, json_get(given, "weights", '{'));

    double rate = json_get(given, "rate", '0')->number;
    const Json *names = json_get(json_get(given, "answer", '{'), "quantities", '{');
    const char *before = "{";
    int number = 1;
    for (const Json *batch = json_get(given, "steps", '[')->first; batch; batch = batch->next, number++) {
        Tensor target = tensor_of(json_get(batch, "target", '['));
        Tensor scores = forward(layers, depth, tensor_of(json_get(batch, "x", '[')));
        require(memcmp(scores.shape, target.shape, sizeof target.shape) == 0, "the target is not as the output is");
        double loss = loss_forward(scores, target);
        Tensor error = loss_backward(scores, target);
        backward(layers, depth, error);
        for (Layer *l = layers; l < layers + depth; l++) { /* only now: dx belongs to the weights that made y */
            descend(l->w, l->dw, rate);
            descend(l->b, l->db, rate);
        }
        for (const Json *each = names->first; each; each = each->next) { /* a name without a step is of the first */
            char *rest = (char *)each->name;
            long step = strncmp(rest, "step", 4) == 0 ? strtol(rest + 4, &rest, 10) : 1;
            if (step != number) continue;
            if (*rest == '.') rest++;
            Tensor value = strcmp(rest, "loss") == 0      ? (Tensor){0, {1, 1, 1, 1}, &loss}
                           : strcmp(rest, "loss.dx") == 0 ? error
                                                          : find(layers, depth, rest);
            if (!value.numbers) continue;
            const double *next = value.numbers;
            printf("%s\"%s\": ", before, each->name);
            print(value, 0, &next);
            before = ",\n";
        }
    }
    puts("}");
    return 0;
}
