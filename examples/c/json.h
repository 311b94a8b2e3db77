/* What main.c needs besides the network: errors, memory, and a reader of JSON. */
#ifndef JSON_H
#define JSON_H

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with a message, written as for printf, unless `right`. */
static void require(int right, const char *message, ...) {
    if (right) return;
    va_list values;
    va_start(values, message);
    fputs("main.c: ", stderr);
    vfprintf(stderr, message, values);
    fputc('\n', stderr);
    va_end(values);
    exit(1);
}

/* Memory is taken in blocks that know each other. free_all, called at exit, gives all back, whatever the end is. */
typedef struct Block {
    struct Block *next;
    max_align_t memory[];
} Block;

static Block *blocks;

static void free_all(void) {
    while (blocks) {
        Block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

/* Memory that holds zeros. */
static void *allocate(size_t size) {
    Block *block = calloc(1, sizeof(Block) + size);
    require(block != NULL, "there is no memory for %zu bytes", size);
    block->next = blocks;
    blocks = block;
    return block->memory;
}

/* A value of JSON: its kind is { [ " or 0 for a number, w for one of the words true, false, null.
   What is in an object or a list begins with `first` and goes on with `next`; in an object each has a name. */
typedef struct Json {
    char kind;
    const char *name, *text; /* escapes are left as they are: no name of a case has any */
    double number;
    int count;
    struct Json *first, *next;
} Json;

static void json_space(const char **at) {
    while (isspace((unsigned char)**at)) ++*at;
}

static const char *json_text(const char **at) {
    require(**at == '"', "this is not JSON: there should be a text at: %.30s", *at);
    const char *start = ++*at;
    while (**at != '"') {
        if (**at == '\\') ++*at; /* so that \" does not end it */
        require(**at != '\0', "the case ends in the middle of a text");
        ++*at;
    }
    char *text = allocate((size_t)(*at - start) + 1);
    memcpy(text, start, (size_t)(*at - start));
    ++*at;
    return text;
}

/* The value that begins at `*at`, which then points behind it. */
static Json *json_value(const char **at, int depth) {
    Json *value = allocate(sizeof(Json));
    json_space(at);
    value->kind = **at;
    if (**at == '{' || **at == '[') {
        require(depth < 100, "the case has more than 100 brackets in one another");
        char end = value->kind == '{' ? '}' : ']';
        Json **last = &value->first;
        ++*at;
        json_space(at);
        while (**at != end) {
            const char *name = NULL;
            if (end == '}') {
                name = json_text(at);
                json_space(at);
                require(**at == ':', "this is not JSON: there is no : behind \"%s\"", name);
                ++*at;
            }
            *last = json_value(at, depth + 1);
            (*last)->name = name;
            last = &(*last)->next;
            value->count++;
            json_space(at);
            require(**at == ',' || **at == end, "this is not JSON: there is no , or %c at: %.30s", end, *at);
            if (**at == ',') ++*at;
            json_space(at);
        }
        ++*at;
    } else if (**at == '"') {
        value->text = json_text(at);
    } else if (isalpha((unsigned char)**at)) {
        value->kind = 'w';
        while (isalpha((unsigned char)**at)) ++*at;
    } else {
        char *end;
        value->kind = '0';
        value->number = strtod(*at, &end);
        require(end != *at && isfinite(value->number), "this is not JSON: there should be a value at: %.30s", *at);
        *at = end;
    }
    return value;
}

static Json *json_read(FILE *file) {
    size_t size = 0, room = 1 << 16;
    char *text = allocate(room);
    for (size_t got; (got = fread(text + size, 1, room - size - 1, file)) > 0;) {
        size += got;
        if (size + 1 == room) {
            text = memcpy(allocate(2 * room), text, room);
            room *= 2;
        }
    }
    text[size] = '\0';
    const char *at = text;
    Json *value = json_value(&at, 0);
    json_space(&at);
    require(*at == '\0', "something follows the case: %.30s", at);
    return value;
}

/* The value of that name, or NULL. */
static const Json *json_find(const Json *object, const char *name) {
    require(object->kind == '{', "the case is not as it should be: where %s is looked for is no object", name);
    const Json *each = object->first;
    while (each && strcmp(each->name, name) != 0) each = each->next;
    return each;
}

/* The value of that name; it must be there and of that kind. */
static const Json *json_get(const Json *object, const char *name, char kind) {
    const Json *value = json_find(object, name);
    require(value != NULL, "the case is not as it should be: it has no %s", name);
    require(value->kind == kind, "the case is not as it should be: %s is of another kind", name);
    return value;
}

#endif
