import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.function.BiConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A small convolutional network by hand: forward, backward and update in plain loops, and no library.
 *
 * <pre>
 * plaingrad case -o case.json
 * java Main.java case.json > answer.json      (or: java Main.java < case.json > answer.json)
 * plaingrad check case.json answer.json
 * </pre>
 *
 * One letter an axis: image n, channel or input c, filter or unit k, output row i and column j, window row u and column v.
 * What enters a layer is x, what leaves it y, its weights w and biases b. A d before the name is the gradient of the
 * loss with respect to it: dy comes from the layer above, dx goes to the layer below. Images are
 * [image][channel][row][column] throughout; after Flatten they are as many channels of one pixel.
 */
public class Main {
    /** One layer, with what went through it last. Weights are [filter][channel][row][column], or null. */
    abstract static class Layer {
        String name;
        boolean flatInput, flatOutput; // written as (image, number), without the one row and column
        double[][][][] x, y, dx, dy, w, dw;
        double[] b, db;
        int[] size, stride, padding, dilation; // rows and columns

        /** Makes y of x. */
        abstract void forward();

        /** Makes dx of dy. */
        abstract void backwardInput();

        /** Makes dw of dy; for layers that have weights. */
        void backwardWeights() {}

        /** A bias is added at every position of every image, so its gradient is the sum of all their errors. */
        void backwardBias() {
            db = new double[b.length];
            each(dy, (n, k, i, j) -> db[k] += dy[n][k][i][j]);
        }
    }

    /** A cross-correlation, in fact: the kernel is not turned. */
    static class Conv extends Layer {
        /** The row of the padded image that row u of the window sees at output row i. */
        int row(int i, int u) {
            return i * stride[0] + u * dilation[0];
        }

        int column(int j, int v) {
            return j * stride[1] + v * dilation[1];
        }

        void forward() {
            double[][][][] px = pad(x, padding);
            int rows = windows(px[0][0].length, w[0][0].length, stride[0], dilation[0]);
            int columns = windows(px[0][0][0].length, w[0][0][0].length, stride[1], dilation[1]);
            y = new double[x.length][w.length][rows][columns];
            each(y, (n, k, i, j) -> {
                double sum = b == null ? 0 : b[k];
                for (int c = 0; c < w[k].length; c++)
                    for (int u = 0; u < w[k][c].length; u++)
                        for (int v = 0; v < w[k][c][u].length; v++)
                            sum += w[k][c][u][v] * px[n][c][row(i, u)][column(j, v)];
                y[n][k][i][j] = sum;
            });
        }

        /** One weight is used at every position of every image: its gradient is the sum over all its uses. */
        void backwardWeights() {
            double[][][][] px = pad(x, padding);
            dw = zerosLike(w);
            each(w, (k, c, u, v) -> {
                for (int n = 0; n < dy.length; n++) {
                    double sum = 0;
                    for (int i = 0; i < dy[n][k].length; i++)
                        for (int j = 0; j < dy[n][k][i].length; j++)
                            sum += dy[n][k][i][j] * px[n][c][row(i, u)][column(j, v)];
                    dw[k][c][u][v] += sum;
                }
            });
        }

        /**
         * Each error goes back the way it came: to every pixel under its window, times the weight that looked there.
         * Windows overlap and all filters look at the same pixel, hence +=. Written from the errors' side the kernel
         * is not turned: u and v are the same here as on the way forward.
         */
        void backwardInput() {
            double[][][][] dpx = zerosLike(pad(x, padding));
            each(dy, (n, k, i, j) -> {
                for (int c = 0; c < w[k].length; c++)
                    for (int u = 0; u < w[k][c].length; u++)
                        for (int v = 0; v < w[k][c][u].length; v++)
                            dpx[n][c][row(i, u)][column(j, v)] += w[k][c][u][v] * dy[n][k][i][j];
            });
            dx = zerosLike(x); // without the frame: zeros that were put around an image have no gradient to pass on
            each(dx, (n, c, i, j) -> dx[n][c][i][j] = dpx[n][c][i + padding[0]][j + padding[1]]);
        }
    }

    static class ReLU extends Layer {
        void forward() {
            y = zerosLike(x);
            each(x, (n, c, i, j) -> y[n][c][i][j] = Math.max(x[n][c][i][j], 0));
        }

        /** An error passes where the unit was on; at 0 itself the slope is taken as 0. */
        void backwardInput() {
            dx = zerosLike(x);
            each(x, (n, c, i, j) -> dx[n][c][i][j] = x[n][c][i][j] > 0 ? dy[n][c][i][j] : 0);
        }
    }

    static class MaxPool extends Layer {
        void forward() {
            int rows = windows(x[0][0].length + 2 * padding[0], size[0], stride[0], 1);
            int columns = windows(x[0][0][0].length + 2 * padding[1], size[1], stride[1], 1);
            y = new double[x.length][x[0].length][rows][columns];
            each(y, (n, c, i, j) -> {
                int[] place = winner(x[n][c], i, j);
                y[n][c][i][j] = x[n][c][place[0]][place[1]];
            });
        }

        /**
         * Row and column of the largest value under the window; of equal ones the first in reading order. What lies in
         * the padding is no value, not even a zero.
         */
        int[] winner(double[][] image, int i, int j) {
            int top = i * stride[0] - padding[0], left = j * stride[1] - padding[1];
            int[] best = {Math.max(top, 0), Math.max(left, 0)};
            for (int row = best[0]; row < Math.min(top + size[0], image.length); row++)
                for (int column = Math.max(left, 0); column < Math.min(left + size[1], image[0].length); column++)
                    if (image[row][column] > image[best[0]][best[1]]) best = new int[] {row, column};
            return best;
        }

        /**
         * The error goes to the winner alone: had another pixel been a little larger, the output would be the same.
         * Where windows overlap one pixel may have won several times: it is paid for each, hence +=.
         */
        void backwardInput() {
            dx = zerosLike(x);
            each(dy, (n, c, i, j) -> {
                int[] place = winner(x[n][c], i, j);
                dx[n][c][place[0]][place[1]] += dy[n][c][i][j];
            });
        }
    }

    static class Flatten extends Layer {
        void forward() {
            y = new double[x.length][x[0].length * x[0][0].length * x[0][0][0].length][1][1];
            each(x, (n, c, i, j) -> y[n][place(c, i, j)][0][0] = x[n][c][i][j]);
        }

        /** Reading order: channel by channel, and in a channel row by row. Both directions ask here. */
        int place(int c, int i, int j) {
            return (c * x[0][0].length + i) * x[0][0][0].length + j;
        }

        void backwardInput() {
            dx = zerosLike(x);
            each(x, (n, c, i, j) -> dx[n][c][i][j] = dy[n][place(c, i, j)][0][0]);
        }
    }

    /** Each unit k has a weight for every input c. Rows and columns are one throughout: i and j are 0. */
    static class Dense extends Layer {
        void forward() {
            y = new double[x.length][w.length][1][1];
            each(y, (n, k, i, j) -> {
                y[n][k][i][j] = b == null ? 0 : b[k];
                for (int c = 0; c < x[n].length; c++) y[n][k][i][j] += w[k][c][i][j] * x[n][c][i][j];
            });
        }

        void backwardWeights() {
            dw = zerosLike(w);
            each(w, (k, c, i, j) -> {
                for (int n = 0; n < x.length; n++) dw[k][c][i][j] += dy[n][k][i][j] * x[n][c][i][j];
            });
        }

        /** The same weights the other way: each input is told by every unit that it fed. */
        void backwardInput() {
            dx = zerosLike(x);
            each(x, (n, c, i, j) -> {
                for (int k = 0; k < w.length; k++) dx[n][c][i][j] += w[k][c][i][j] * dy[n][k][i][j];
            });
        }
    }

    /** The logarithm of Σ exp(score). The largest score is taken off first, so that exp cannot overflow. */
    static double logSum(double[][][] scores) {
        double top = Double.NEGATIVE_INFINITY, sum = 0;
        for (double[][] score : scores) top = Math.max(top, score[0][0]);
        for (double[][] score : scores) sum += Math.exp(score[0][0] - top);
        return top + Math.log(sum);
    }

    /** Minus the logarithm of the probability of the right class, its mean over the images. */
    static double lossForward(double[][][][] scores, double[][][][] target) {
        double[] sum = {0};
        each(scores, (n, k, i, j) -> sum[0] += target[n][k][i][j] * (logSum(scores[n]) - scores[n][k][i][j]));
        return sum[0] / scores.length;
    }

    /** Softmax and logarithm together leave probability - target. The division is the mean's: no layer divides again. */
    static double[][][][] lossBackward(double[][][][] scores, double[][][][] target) {
        double[][][][] dx = zerosLike(scores);
        each(dx, (n, k, i, j) -> {
            double probability = Math.exp(scores[n][k][i][j] - logSum(scores[n]));
            dx[n][k][i][j] = (probability - target[n][k][i][j]) / scores.length;
        });
        return dx;
    }

    /** One step of plain gradient descent on one batch. Changes the weights; tells all that came up, by name. */
    static void step(List<Layer> layers, double[][][][] x, double[][][][] target, double rate,
            BiConsumer<String, String> told) {
        for (Layer layer : layers) {
            layer.x = x;
            layer.forward();
            x = layer.y;
            told.accept(layer.name + ".y", text(layer.y, layer.flatOutput));
        }
        double[][][][] error = lossBackward(x, target);
        told.accept("loss", String.valueOf(lossForward(x, target)));
        told.accept("loss.dx", text(error, true));
        for (int at = layers.size() - 1; at >= 0; at--) {
            Layer layer = layers.get(at);
            layer.dy = error;
            layer.backwardWeights();
            if (layer.b != null) layer.backwardBias();
            layer.backwardInput();
            error = layer.dx;
            told.accept(layer.name + ".dy", text(layer.dy, layer.flatOutput));
            told.accept(layer.name + ".dx", text(layer.dx, layer.flatInput));
            if (layer.w != null) { // only now: dx belongs to the weights that made y
                each(layer.w, (k, c, u, v) -> layer.w[k][c][u][v] -= rate * layer.dw[k][c][u][v]);
                told.accept(layer.name + ".dw", text(layer.dw, layer.flatInput));
                told.accept(layer.name + ".w", text(layer.w, layer.flatInput));
            }
            if (layer.b != null) {
                for (int k = 0; k < layer.b.length; k++) layer.b[k] -= rate * layer.db[k];
                told.accept(layer.name + ".db", Arrays.toString(layer.db));
                told.accept(layer.name + ".b", Arrays.toString(layer.b));
            }
        }
    }

    interface Visit {
        void at(int n, int c, int i, int j);
    }

    /** Visits every place of an array of four axes, in reading order. */
    static void each(double[][][][] array, Visit visit) {
        for (int n = 0; n < array.length; n++)
            for (int c = 0; c < array[n].length; c++)
                for (int i = 0; i < array[n][c].length; i++)
                    for (int j = 0; j < array[n][c][i].length; j++) visit.at(n, c, i, j);
    }

    static double[][][][] zerosLike(double[][][][] x) {
        return new double[x.length][x[0].length][x[0][0].length][x[0][0][0].length];
    }

    /** x in a frame of zeros, so that no loop has to ask whether it is still inside the image. */
    static double[][][][] pad(double[][][][] x, int[] padding) {
        int rows = x[0][0].length + 2 * padding[0], columns = x[0][0][0].length + 2 * padding[1];
        double[][][][] px = new double[x.length][x[0].length][rows][columns];
        each(x, (n, c, i, j) -> px[n][c][i + padding[0]][j + padding[1]] = x[n][c][i][j]);
        return px;
    }

    /**
     * How often a window fits: a remainder that is shorter than the stride is never reached. With a dilation its pixels
     * lie that far apart.
     */
    static int windows(int extent, int size, int stride, int dilation) {
        int reach = (size - 1) * dilation + 1;
        require(extent >= reach, "a window of " + reach + " does not fit into " + extent + " rows or columns");
        return (extent - reach) / stride + 1;
    }

    /** The layer that a case describes, its weights filled in. */
    static Layer layer(Map<?, ?> from, Map<?, ?> weights) {
        String name = (String) from.get("name"), kind = (String) from.get("kind");
        Layer made = switch (kind) {
            case "Conv" -> new Conv();
            case "ReLU" -> new ReLU();
            case "MaxPool" -> new MaxPool();
            case "Flatten" -> new Flatten();
            case "Dense" -> new Dense();
            default -> throw new IllegalArgumentException(
                    name + ": there is no " + kind + " here; this program knows Conv, ReLU, MaxPool, Flatten, Dense");
        };
        made.name = name;
        made.flatInput = ((List<?>) from.get("input")).size() == 1;
        made.flatOutput = ((List<?>) from.get("output")).size() == 1;
        if (weights.get(name + ".w") != null) made.w = images(weights.get(name + ".w"));
        if (weights.get(name + ".b") != null) made.b = numbers(weights.get(name + ".b"));
        made.size = pair(from.get("size"));
        made.stride = pair(from.get("stride"));
        made.padding = pair(from.get("padding"));
        made.dilation = from.get("dilation") == null ? new int[] {1, 1} : pair(from.get("dilation"));
        Object groups = from.get("groups");
        require(groups == null || groups.equals(1.0), name + ": this program knows no groups but 1");
        return made;
    }

    /** Every quantity that the case asks for, by its name. A name without a step is of the first. */
    static String answer(Map<?, ?> asked) {
        Map<?, ?> loss = (Map<?, ?>) asked.get("loss"), network = (Map<?, ?>) asked.get("network");
        require("SoftmaxCrossEntropy".equals(loss.get("kind")), "this program knows no loss but SoftmaxCrossEntropy");
        List<Layer> layers = new ArrayList<>();
        for (Object from : (List<?>) network.get("layers"))
            layers.add(layer((Map<?, ?>) from, (Map<?, ?>) asked.get("weights")));
        Map<String, String> found = new HashMap<>();
        int number = 0;
        for (Object each : (List<?>) asked.get("steps")) {
            Map<?, ?> batch = (Map<?, ?>) each;
            String prefix = "step" + ++number + ".";
            step(layers, images(batch.get("x")), images(batch.get("target")), (Double) asked.get("rate"),
                    (name, value) -> found.put(prefix + name, value));
        }
        StringJoiner lines = new StringJoiner(",\n", "{", "}");
        for (Object name : ((Map<?, ?>) ((Map<?, ?>) asked.get("answer")).get("quantities")).keySet()) {
            String value = found.getOrDefault(name, found.get("step1." + name));
            if (value != null) lines.add("\"" + name + "\": " + value);
        }
        return lines.toString();
    }

    static void require(boolean right, String message) {
        if (!right) throw new IllegalArgumentException(message);
    }

    static double[] numbers(Object list) {
        return ((List<?>) list).stream().mapToDouble(each -> (Double) each).toArray();
    }

    /** Rows and columns of a setting; null for a layer that does not have it. */
    static int[] pair(Object list) {
        if (list == null) return null;
        return ((List<?>) list).stream().mapToInt(each -> ((Double) each).intValue()).toArray();
    }

    /** Lists in lists as an array of four axes; of lists with two axes the rows and columns are 1. */
    static double[][][][] images(Object list) {
        return ((List<?>) list).stream()
                .map(image -> ((List<?>) image).stream().map(Main::map).toArray(double[][][]::new))
                .toArray(double[][][][]::new);
    }

    static double[][] map(Object value) {
        if (value instanceof Double) return new double[][] {{(Double) value}};
        return ((List<?>) value).stream().map(Main::numbers).toArray(double[][]::new);
    }

    /** The array as JSON. Arrays of a flat layer have two axes. */
    static String text(double[][][][] array, boolean flat) {
        if (!flat) return Arrays.deepToString(array);
        double[][] numbers = new double[array.length][array[0].length];
        each(array, (n, k, i, j) -> numbers[n][k] = array[n][k][i][j]);
        return Arrays.deepToString(numbers);
    }

    /** What JSON is made of: texts, brackets, and words such as numbers. Commas and colons are only for the eye. */
    static final Pattern TOKEN =
            Pattern.compile("\"[^\"\\\\]*+(?:\\\\.[^\"\\\\]*+)*+\"|[\\[\\]{}]|[^\\s\\[\\]{}:,\"]+");

    /** The next value and all that is in it. Escapes in texts stay as they are: no name of a case has any. */
    static Object json(Deque<String> tokens) {
        String token = tokens.pop();
        if (token.equals("{")) {
            Map<Object, Object> object = new LinkedHashMap<>();
            while (!tokens.peek().equals("}")) object.put(json(tokens), json(tokens));
            tokens.pop();
            return object;
        }
        if (token.equals("[")) {
            List<Object> list = new ArrayList<>();
            while (!tokens.peek().equals("]")) list.add(json(tokens));
            tokens.pop();
            return list;
        }
        if (token.startsWith("\"")) return token.substring(1, token.length() - 1);
        return Character.isLetter(token.charAt(0)) ? token : Double.valueOf(token); // true, false, null: nobody asks
    }

    public static void main(String[] arguments) {
        try {
            byte[] bytes = arguments.length > 0 ? Files.readAllBytes(Path.of(arguments[0])) : System.in.readAllBytes();
            Matcher matcher = TOKEN.matcher(new String(bytes, StandardCharsets.UTF_8));
            Deque<String> tokens = new ArrayDeque<>();
            while (matcher.find()) tokens.add(matcher.group());
            System.out.println(answer((Map<?, ?>) json(tokens)));
        } catch (IllegalArgumentException | IOException error) {
            System.err.println("Main.java: " + error.getMessage());
            System.exit(1);
        } catch (RuntimeException error) {
            System.err.println("Main.java: what was read is not a case: " + error);
            System.exit(1);
        }
    }
}
