/*
 * Renders the scenes behind Safelight's sample pictures: a small path tracer over generated geometry.
 *
 *   scene NAME WIDTH HEIGHT SAMPLES OUT [THREADS [LEFT TOP RIGHT BOTTOM]]
 *
 * OUT receives WIDTH x HEIGHT x 3 little-endian floats, linear light, row by row. The result depends only on the
 * arguments before OUT: every pixel seeds its own random numbers. With a rectangle only its pixels are rendered, the
 * rest stays black: to look at a detail while working on it. Nothing here is photographed, scanned or copied.
 * make.py exposes, ages and encodes what this program renders.
 *
 * Axes: x right, y up, z away from the camera; metres. The scene owns two levels of bounding-volume trees, so that
 * twenty thousand conifers cost the memory of four.
 */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { float x, y, z; } V;
#define PI 3.14159265f
static V v(float x, float y, float z) { return (V){x, y, z}; }
static V add(V a, V b) { return v(a.x + b.x, a.y + b.y, a.z + b.z); }
static V sub(V a, V b) { return v(a.x - b.x, a.y - b.y, a.z - b.z); }
static V mul(V a, float s) { return v(a.x * s, a.y * s, a.z * s); }
static V had(V a, V b) { return v(a.x * b.x, a.y * b.y, a.z * b.z); }
static float dot(V a, V b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static V cross(V a, V b) { return v(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x); }
static V norm(V a) { return mul(a, 1 / sqrtf(dot(a, a) + 1e-20f)); }
static V mix3(V a, V b, float t) { return add(mul(a, 1 - t), mul(b, t)); }
static float mixf(float a, float b, float t) { return a + (b - a) * t; }
static float clampf(float x, float a, float b) { return x < a ? a : x > b ? b : x; }
static float smooth(float a, float b, float x) { x = clampf((x - a) / (b - a), 0, 1); return x * x * (3 - 2 * x); }

/* ---- random numbers and noise ---- */
static uint32_t hash32(uint32_t x) { x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu; return x ^ (x >> 16); }
static float rnd(uint32_t *s) {
    *s = *s * 747796405u + 2891336453u;
    uint32_t w = ((*s >> ((*s >> 28) + 4)) ^ *s) * 277803737u;
    return (float)(((w >> 22) ^ w) >> 8) * (1.0f / 16777216.0f);
}
static uint32_t build_seed = 1974;
static float R(void) { return rnd(&build_seed); }
static float RR(float a, float b) { return a + (b - a) * R(); }
static float lattice(int x, int y, int z) {
    return (float)(hash32((uint32_t)x * 73856093u ^ hash32((uint32_t)y * 19349663u ^ hash32((uint32_t)z * 83492791u))) >> 8) * (1.0f / 16777216.0f);
}
static float noise(V p) {
    float fx = floorf(p.x), fy = floorf(p.y), fz = floorf(p.z);
    int x = (int)fx, y = (int)fy, z = (int)fz;
    float a = p.x - fx, b = p.y - fy, c = p.z - fz, k[2];
    a = a * a * a * (a * (a * 6 - 15) + 10);
    b = b * b * b * (b * (b * 6 - 15) + 10);
    c = c * c * c * (c * (c * 6 - 15) + 10);
    for (int i = 0; i < 2; i++)
        k[i] = mixf(mixf(lattice(x, y, z + i), lattice(x + 1, y, z + i), a), mixf(lattice(x, y + 1, z + i), lattice(x + 1, y + 1, z + i), a), b);
    return mixf(k[0], k[1], c) * 2 - 1;
}
static float fbm(V p, int octaves) {
    float s = 0, a = 0.5f;
    for (int i = 0; i < octaves; i++) {
        s += a * noise(p);
        p = add(v(p.z * 0.3f + p.x * 1.95f, p.y * 2.03f, p.z * 1.95f - p.x * 0.3f), v(17.3f, 9.1f, 5.7f));
        a *= 0.5f;
    }
    return s;
}
static float ridged(V p, int octaves) {
    float s = 0, a = 0.5f, w = 1;
    for (int i = 0; i < octaves; i++) {
        float n = 1 - fabsf(noise(p));
        n *= n;
        s += a * n * w;
        w = clampf(n * 1.6f, 0, 1);
        p = add(mul(v(p.x * 0.94f + p.z * 0.34f, p.y, p.z * 0.94f - p.x * 0.34f), 2.07f), v(3.1f, 7.7f, 1.9f));
        a *= 0.5f;
    }
    return s;
}

/* ---- materials ---- */
enum { PLAIN, GROUND, MOUNTAIN, WOOD, LEAF, PLASTER, BRICK, ROAD, GLASS, GLOW, ROCK, APPLE, CLOTH, SNOW, BIRCH };
typedef struct { int kind; V colour; float vary, gloss; int axis; } Material;
static Material materials[128];
static int material_count;
static int material(int kind, V colour, float vary, float gloss, int axis) {
    materials[material_count] = (Material){kind, colour, vary, gloss, axis};
    return material_count++;
}

/* ---- meshes ---- */
typedef struct { V p, e1, e2, n0, n1, n2; float var; int mat; } Tri;
typedef struct { V lo, hi; int left, count; } Node;
typedef struct { Tri *t; int n, cap; Node *nodes; int node_count; } Mesh;
typedef struct { int mesh; V at; float s, c, sn, var; V lo, hi; } Instance;
static Mesh meshes[40];
static int mesh_count;
static Instance *instances;
static int instance_count, instance_cap;
static Node *top;
static int *top_order;
static int top_count;

static Mesh *out;
static V origin;
static float turn_c = 1, turn_s = 0;
static int new_mesh(void) { out = &meshes[mesh_count]; origin = v(0, 0, 0); turn_c = 1; turn_s = 0; return mesh_count++; }
static void place(V at, float yaw) { origin = at; turn_c = cosf(yaw); turn_s = sinf(yaw); }
static V turned(V p) { return v(p.x * turn_c + p.z * turn_s, p.y, -p.x * turn_s + p.z * turn_c); }
static void tri_n(V a, V b, V c, V n0, V n1, V n2, int mat, float var) {
    a = add(turned(a), origin); b = add(turned(b), origin); c = add(turned(c), origin);
    if (out->n == out->cap) { out->cap = out->cap ? out->cap * 2 : 256; out->t = realloc(out->t, sizeof(Tri) * (size_t)out->cap); }
    out->t[out->n++] = (Tri){a, sub(b, a), sub(c, a), turned(n0), turned(n1), turned(n2), var, mat};
}
static void tri(V a, V b, V c, int mat, float var) { V n = norm(cross(sub(b, a), sub(c, a))); tri_n(a, b, c, n, n, n, mat, var); }
static void quad(V a, V b, V c, V d, int mat, float var) { tri(a, b, c, mat, var); tri(a, c, d, mat, var); }
static void box(V lo, V hi, int mat, float var) {
    V p[8];
    for (int i = 0; i < 8; i++) p[i] = v(i & 1 ? hi.x : lo.x, i & 2 ? hi.y : lo.y, i & 4 ? hi.z : lo.z);
    static const int f[6][4] = {{0, 2, 3, 1}, {4, 5, 7, 6}, {0, 1, 5, 4}, {2, 6, 7, 3}, {0, 4, 6, 2}, {1, 3, 7, 5}};
    for (int i = 0; i < 6; i++) quad(p[f[i][0]], p[f[i][1]], p[f[i][2]], p[f[i][3]], mat, var);
}
static void frame_of(V n, V *a, V *b) { *a = norm(fabsf(n.y) < 0.9f ? cross(n, v(0, 1, 0)) : cross(n, v(1, 0, 0))); *b = cross(n, *a); }
static void cone(V p0, V p1, float r0, float r1, int sides, int mat, float var) {
    V a, b, d = norm(sub(p1, p0));
    frame_of(d, &a, &b);
    for (int i = 0; i < sides; i++) {
        float t0 = 2 * PI * (float)i / (float)sides, t1 = 2 * PI * (float)(i + 1) / (float)sides;
        V n0 = add(mul(a, cosf(t0)), mul(b, sinf(t0))), n1 = add(mul(a, cosf(t1)), mul(b, sinf(t1)));
        V q0 = add(p0, mul(n0, r0)), q1 = add(p0, mul(n1, r0)), q2 = add(p1, mul(n1, r1)), q3 = add(p1, mul(n0, r1));
        tri_n(q0, q1, q2, n0, n1, n1, mat, var);
        tri_n(q0, q2, q3, n0, n1, n0, mat, var);
        if (r1 > 0) tri(p1, q3, q2, mat, var);
        if (r0 > 0) tri(p0, q1, q0, mat, var);
    }
}
/* A surface of revolution around y through (radius, height) pairs. */
static void lathe(V at, const float (*rh)[2], int n, int sides, int mat, float var) {
    for (int j = 0; j + 1 < n; j++) {
        float dr0 = rh[j + 1][0] - rh[j][0], dh0 = rh[j + 1][1] - rh[j][1], dr1 = dr0, dh1 = dh0;
        if (j > 0) { dr0 += rh[j][0] - rh[j - 1][0]; dh0 += rh[j][1] - rh[j - 1][1]; }
        if (j + 2 < n) { dr1 += rh[j + 2][0] - rh[j + 1][0]; dh1 += rh[j + 2][1] - rh[j + 1][1]; }
        for (int i = 0; i < sides; i++) {
            float t0 = 2 * PI * (float)i / (float)sides, t1 = 2 * PI * (float)(i + 1) / (float)sides;
            V c0 = v(cosf(t0), 0, sinf(t0)), c1 = v(cosf(t1), 0, sinf(t1));
            V a = add(at, add(mul(c0, rh[j][0]), v(0, rh[j][1], 0))), b = add(at, add(mul(c1, rh[j][0]), v(0, rh[j][1], 0)));
            V c = add(at, add(mul(c1, rh[j + 1][0]), v(0, rh[j + 1][1], 0))), d = add(at, add(mul(c0, rh[j + 1][0]), v(0, rh[j + 1][1], 0)));
            V na = norm(add(mul(c0, dh0), v(0, -dr0, 0))), nb = norm(add(mul(c1, dh0), v(0, -dr0, 0)));
            V nc = norm(add(mul(c1, dh1), v(0, -dr1, 0))), nd = norm(add(mul(c0, dh1), v(0, -dr1, 0)));
            tri_n(a, b, c, na, nb, nc, mat, var);
            tri_n(a, c, d, na, nc, nd, mat, var);
        }
    }
}
static void ball(V c, V r, int mat, float var) {
    enum { N = 16, M = 10 };
    for (int j = 0; j < M; j++)
        for (int i = 0; i < N; i++) {
            V n[4], p[4];
            int k = 0;
            for (int dj = 0; dj < 2; dj++)
                for (int di = 0; di < 2; di++) {
                    float th = PI * (float)(j + dj) / M, ph = 2 * PI * (float)(i + di) / N;
                    n[k++] = v(sinf(th) * cosf(ph), cosf(th), sinf(th) * sinf(ph));
                }
            for (k = 0; k < 4; k++) { p[k] = add(c, had(n[k], r)); n[k] = norm(v(n[k].x / r.x, n[k].y / r.y, n[k].z / r.z)); }
            tri_n(p[0], p[1], p[3], n[0], n[1], n[3], mat, var);
            tri_n(p[0], p[3], p[2], n[0], n[3], n[2], mat, var);
        }
}
static void limb(V a, V b, float r0, float r1, int mat) { cone(a, b, r0, r1, 10, mat, 0.5f); ball(a, v(r0, r0, r0), mat, 0.5f); ball(b, v(r1, r1, r1), mat, 0.5f); }

static void instance(int mesh, V at, float scale, float yaw, float var) {
    if (instance_count == instance_cap) { instance_cap = instance_cap ? instance_cap * 2 : 1024; instances = realloc(instances, sizeof(Instance) * (size_t)instance_cap); }
    instances[instance_count++] = (Instance){mesh, at, scale, cosf(yaw), sinf(yaw), var, {0, 0, 0}, {0, 0, 0}};
}

/* ---- bounding-volume trees ---- */
typedef struct { V lo, hi, mid; int id; } Ref;
static V vmin(V a, V b) { return v(fminf(a.x, b.x), fminf(a.y, b.y), fminf(a.z, b.z)); }
static V vmax(V a, V b) { return v(fmaxf(a.x, b.x), fmaxf(a.y, b.y), fmaxf(a.z, b.z)); }
static float area(V lo, V hi) { V d = sub(hi, lo); return d.x * d.y + d.y * d.z + d.z * d.x; }
static float axis_of(V p, int k) { return k == 0 ? p.x : k == 1 ? p.y : p.z; }
static const V FAR_LO = {1e30f, 1e30f, 1e30f}, FAR_HI = {-1e30f, -1e30f, -1e30f};
static void split(Node *nodes, int *count, int self, Ref *refs, int from, int n) {
    enum { B = 12 };
    V lo = FAR_LO, hi = FAR_HI, clo = lo, chi = hi;
    for (int i = from; i < from + n; i++) { lo = vmin(lo, refs[i].lo); hi = vmax(hi, refs[i].hi); clo = vmin(clo, refs[i].mid); chi = vmax(chi, refs[i].mid); }
    nodes[self].lo = lo; nodes[self].hi = hi; nodes[self].left = from; nodes[self].count = n;
    if (n <= 4) return;
    float best = FLT_MAX;
    int best_axis = -1, best_bin = 0;
    for (int k = 0; k < 3; k++) {
        float a = axis_of(clo, k), w = axis_of(chi, k) - a;
        if (w < 1e-6f) continue;
        V bl[B], bh[B];
        int bc[B] = {0};
        for (int b = 0; b < B; b++) { bl[b] = FAR_LO; bh[b] = FAR_HI; }
        for (int i = from; i < from + n; i++) {
            int b = (int)((axis_of(refs[i].mid, k) - a) / w * B);
            if (b >= B) b = B - 1;
            bl[b] = vmin(bl[b], refs[i].lo); bh[b] = vmax(bh[b], refs[i].hi); bc[b]++;
        }
        for (int s = 1; s < B; s++) {
            V l0 = FAR_LO, h0 = FAR_HI, l1 = FAR_LO, h1 = FAR_HI;
            int c0 = 0, c1 = 0;
            for (int b = 0; b < B; b++) {
                if (b < s) { l0 = vmin(l0, bl[b]); h0 = vmax(h0, bh[b]); c0 += bc[b]; }
                else { l1 = vmin(l1, bl[b]); h1 = vmax(h1, bh[b]); c1 += bc[b]; }
            }
            if (!c0 || !c1) continue;
            float cost = area(l0, h0) * (float)c0 + area(l1, h1) * (float)c1;
            if (cost < best) { best = cost; best_axis = k; best_bin = s; }
        }
    }
    if (best_axis < 0) return;
    float a = axis_of(clo, best_axis), w = axis_of(chi, best_axis) - a;
    int m = from;
    for (int i = from; i < from + n; i++) {
        int b = (int)((axis_of(refs[i].mid, best_axis) - a) / w * B);
        if (b >= B) b = B - 1;
        if (b < best_bin) { Ref t = refs[i]; refs[i] = refs[m]; refs[m++] = t; }
    }
    int child = *count;
    *count += 2;
    nodes[self].left = child; nodes[self].count = 0;
    split(nodes, count, child, refs, from, m - from);
    split(nodes, count, child + 1, refs, m, from + n - m);
}
static void build_mesh(Mesh *m) {
    Ref *refs = malloc(sizeof(Ref) * (size_t)m->n);
    for (int i = 0; i < m->n; i++) {
        Tri *t = &m->t[i];
        V b = add(t->p, t->e1), c = add(t->p, t->e2);
        refs[i].lo = vmin(t->p, vmin(b, c)); refs[i].hi = vmax(t->p, vmax(b, c));
        refs[i].mid = mul(add(refs[i].lo, refs[i].hi), 0.5f); refs[i].id = i;
    }
    m->nodes = malloc(sizeof(Node) * (size_t)(2 * m->n + 1));
    m->node_count = 1;
    split(m->nodes, &m->node_count, 0, refs, 0, m->n);
    Tri *sorted = malloc(sizeof(Tri) * (size_t)m->n);
    for (int i = 0; i < m->n; i++) sorted[i] = m->t[refs[i].id];
    free(m->t);
    m->t = sorted;
    free(refs);
}
static void build(void) {
    for (int i = 0; i < mesh_count; i++) build_mesh(&meshes[i]);
    Ref *refs = malloc(sizeof(Ref) * (size_t)instance_count);
    for (int i = 0; i < instance_count; i++) {
        Instance *n = &instances[i];
        Node *r = &meshes[n->mesh].nodes[0];
        V lo = FAR_LO, hi = FAR_HI;
        for (int k = 0; k < 8; k++) {
            V p = v(k & 1 ? r->hi.x : r->lo.x, k & 2 ? r->hi.y : r->lo.y, k & 4 ? r->hi.z : r->lo.z);
            p = add(mul(v(p.x * n->c + p.z * n->sn, p.y, -p.x * n->sn + p.z * n->c), n->s), n->at);
            lo = vmin(lo, p); hi = vmax(hi, p);
        }
        n->lo = lo; n->hi = hi;
        refs[i] = (Ref){lo, hi, mul(add(lo, hi), 0.5f), i};
    }
    top = malloc(sizeof(Node) * (size_t)(2 * instance_count + 1));
    top_count = 1;
    split(top, &top_count, 0, refs, 0, instance_count);
    top_order = malloc(sizeof(int) * (size_t)instance_count);
    for (int i = 0; i < instance_count; i++) top_order[i] = refs[i].id;
    free(refs);
}
typedef struct { float t, u, w; const Tri *tri; const Instance *in; } Hit;
static float enter(const Node *n, V o, V inv, float far) {
    float a = (n->lo.x - o.x) * inv.x, b = (n->hi.x - o.x) * inv.x, t0 = a < b ? a : b, t1 = a < b ? b : a, c, d;
    a = (n->lo.y - o.y) * inv.y; b = (n->hi.y - o.y) * inv.y; c = a < b ? a : b; d = a < b ? b : a;
    t0 = c > t0 ? c : t0; t1 = d < t1 ? d : t1;
    a = (n->lo.z - o.z) * inv.z; b = (n->hi.z - o.z) * inv.z; c = a < b ? a : b; d = a < b ? b : a;
    t0 = c > t0 ? c : t0; t1 = d < t1 ? d : t1;
    return t1 >= (t0 > 0 ? t0 : 0) && t0 < far ? t0 : FLT_MAX;
}
static float safe(float x) { return 1 / (fabsf(x) < 1e-9f ? 1e-9f : x); }
static V inverse(V d) { return v(safe(d.x), safe(d.y), safe(d.z)); }
static V world_of(const Instance *in, V d) { return v(d.x * in->c + d.z * in->sn, d.y, -d.x * in->sn + d.z * in->c); }
static V local_of(const Instance *in, V d) { return v(d.x * in->c - d.z * in->sn, d.y, d.x * in->sn + d.z * in->c); }
/* Pushes the children that a ray meets, the nearer one last; returns the new height of the stack. */
static int descend(const Node *nodes, const Node *n, V o, V inv, float far, int *stack, int sp) {
    float a = enter(&nodes[n->left], o, inv, far), b = enter(&nodes[n->left + 1], o, inv, far);
    int near_first = a <= b;
    if (near_first) { if (b < FLT_MAX) stack[sp++] = n->left + 1; if (a < FLT_MAX) stack[sp++] = n->left; }
    else { if (a < FLT_MAX) stack[sp++] = n->left; if (b < FLT_MAX) stack[sp++] = n->left + 1; }
    return sp;
}
static int into_mesh(const Instance *in, V o, V d, Hit *hit, int any) {
    const Mesh *m = &meshes[in->mesh];
    float k = 1 / in->s;
    o = mul(local_of(in, sub(o, in->at)), k);
    d = mul(local_of(in, d), k);
    V inv = inverse(d);
    int stack[96], sp = 0, found = 0;
    stack[sp++] = 0;
    while (sp) {
        const Node *n = &m->nodes[stack[--sp]];
        if (enter(n, o, inv, hit->t) == FLT_MAX) continue;
        if (!n->count) { sp = descend(m->nodes, n, o, inv, hit->t, stack, sp); continue; }
        for (int i = n->left; i < n->left + n->count; i++) {
            const Tri *t = &m->t[i];
            V p = cross(d, t->e2);
            float det = dot(t->e1, p);
            if (fabsf(det) < 1e-14f) continue;
            float id = 1 / det;
            V s = sub(o, t->p);
            float u = dot(s, p) * id;
            if (!(u >= 0 && u <= 1)) continue;
            V q = cross(s, t->e1);
            float w = dot(d, q) * id;
            if (!(w >= 0 && u + w <= 1)) continue;
            float tt = dot(t->e2, q) * id;
            if (!(tt > 0 && tt < hit->t)) continue;
            *hit = (Hit){tt, u, w, t, in};
            found = 1;
            if (any) return 1;
        }
    }
    return found;
}
static int intersect(V o, V d, Hit *hit, int any) {
    V inv = inverse(d);
    int stack[96], sp = 0, found = 0;
    stack[sp++] = 0;
    while (sp) {
        const Node *n = &top[stack[--sp]];
        if (enter(n, o, inv, hit->t) == FLT_MAX) continue;
        if (!n->count) { sp = descend(top, n, o, inv, hit->t, stack, sp); continue; }
        for (int i = n->left; i < n->left + n->count; i++)
            if (into_mesh(&instances[top_order[i]], o, d, hit, any)) { found = 1; if (any) return 1; }
    }
    return found;
}

/* ---- the world around the meshes ---- */
static struct {
    V eye, look;
    float fov, aperture, focus;
    V sun, sun_light;
    float sun_size;
    V zenith, horizon;
    float cloud, cloud_scale;
    V cloud_at, cloud_dark;
    float haze;
    V haze_colour;
    int water, snow;
    float wave, wave_scale, clamp;
    V water_colour, water_absorb;
} world = {.cloud_scale = 1, .sun_size = 0.006f, .wave_scale = 1, .clamp = 6};

static V sky(V d, int fine) {
    float up = clampf(d.y, 0, 1);
    V c = mix3(world.horizon, world.zenith, 1 - powf(1 - up, 3.2f));
    float s = clampf(dot(d, world.sun), 0, 1);
    c = add(c, mul(world.sun_light, 0.012f * powf(s, 6) + 0.03f * powf(s, 60)));
    if (fine && world.cloud > 0 && d.y > 0.005f) {
        float k = world.cloud_scale / (d.y + 0.07f);
        V p = add(v(d.x * k, 0, d.z * k), world.cloud_at);
        V warp = v(fbm(add(p, v(4, 0, 1)), 4), 0, fbm(add(p, v(1, 3, 8)), 4));
        p = add(p, mul(warp, 0.45f));
        float n = fbm(p, 7) + 0.28f * fbm(mul(p, 0.31f), 2);
        float dense = smooth(0.16f - 0.32f * world.cloud, 0.42f - 0.30f * world.cloud, n);
        V q = add(p, v(world.sun.x * 0.16f, 0, world.sun.z * 0.16f));
        float shade = clampf(0.55f + 2.2f * (n - (fbm(q, 5) + 0.28f * fbm(mul(q, 0.31f), 2))), 0, 1);
        V white = add(mul(world.sun_light, 0.115f), mul(world.horizon, 0.6f));
        V cc = mix3(world.cloud_dark, white, clampf(0.30f + 0.70f * shade - 0.25f * dense * dense, 0, 1));
        cc = mix3(world.horizon, cc, smooth(0.0f, 0.16f, d.y));
        c = mix3(c, cc, dense * smooth(0.005f, 0.06f, d.y));
    }
    return c;
}
static V ripple(V p, float distance) {
    float s = world.wave_scale, e = 0.01f + 0.0006f * distance, h[3];
    float breeze = 0.55f + 0.9f * smooth(-0.25f, 0.35f, fbm(v(p.x * 0.018f, 2.5f, p.z * 0.045f), 3));
    for (int i = 0; i < 3; i++) {
        V q = v((p.x + (i == 1 ? e : 0)) * s, 0, (p.z + (i == 2 ? e : 0)) * s);
        h[i] = world.wave * breeze / s * (0.055f * fbm(v(q.x * 0.9f, 0.3f, q.z * 1.7f), 4) + 0.02f * noise(v(q.x * 5.1f, 7, q.z * 8.3f)) + 0.10f * noise(v(q.x * 0.22f, 3, q.z * 0.41f)));
    }
    return norm(v(-(h[1] - h[0]) / e, 1, -(h[2] - h[0]) / e));
}
static V bump(V p, V n, float scale, float amount) {
    float e = 0.02f / scale, h = fbm(mul(p, scale), 4);
    V g = v(fbm(mul(add(p, v(e, 0, 0)), scale), 4) - h, fbm(mul(add(p, v(0, e, 0)), scale), 4) - h, fbm(mul(add(p, v(0, 0, e)), scale), 4) - h);
    g = mul(g, amount / (e * scale));
    g = sub(g, mul(n, dot(g, n)));
    return norm(sub(n, g));
}
/* The albedo at a point; may bend the normal. */
static V surface(const Material *m, V p, V local, V *n, float var, float distance) {
    V c = m->colour;
    float near = clampf(1 - distance / 120, 0, 1);
    switch (m->kind) {
    case GROUND: {
        float a = fbm(mul(p, 0.35f), 4), b = fbm(mul(p, 4.5f), 3), wet = smooth(0.45f, 0.02f, p.y);
        c = mix3(c, v(0.19f, 0.16f, 0.10f), smooth(0.0f, 0.35f, a + 0.35f * b));
        c = mix3(c, v(0.24f, 0.20f, 0.15f), smooth(0.55f, 0.12f, p.y + 0.3f * a));
        c = mul(mix3(c, v(0.07f, 0.06f, 0.05f), 0.75f * wet), 0.85f + 0.5f * b);
        if (near > 0) *n = bump(p, *n, 3.0f, 0.22f * near);
        break;
    }
    case MOUNTAIN: {
        float f = fbm(mul(p, 0.004f), 5), g = fbm(mul(p, 0.02f), 4);
        V rock = mix3(v(0.17f, 0.155f, 0.145f), v(0.29f, 0.26f, 0.235f), clampf(0.5f + g + 0.5f * fbm(v(p.x * 0.003f, p.y * 0.03f, p.z * 0.003f), 4), 0, 1));
        V wood = mul(v(0.040f, 0.062f, 0.034f), 1 + 0.8f * fbm(mul(p, 0.06f), 3));
        c = mix3(wood, rock, smooth(430, 640, p.y + 200 * f + 90 * g + 380 * (0.72f - n->y)));
        float snow = smooth(760, 1000, p.y + 340 * f + 160 * g) * smooth(0.62f, 0.80f, n->y + 0.26f * g + 0.10f * f);
        c = mix3(c, v(0.74f, 0.76f, 0.79f), snow);
        break;
    }
    case WOOD: {
        float lo = 1.1f, hi = 26;
        V q = m->axis == 0 ? v(local.x * lo, local.y * hi, local.z * hi) : m->axis == 1 ? v(local.x * hi, local.y * lo, local.z * hi) : v(local.x * hi, local.y * hi, local.z * lo);
        float g = fbm(add(q, v(var * 91, var * 37, var * 53)), 4), stain = fbm(add(mul(local, 0.8f), v(5, var * 9, 2)), 3);
        c = mul(c, (0.72f + 0.55f * var * m->vary + 0.42f * g) * (1 + 0.35f * stain));
        break;
    }
    case LEAF:
        c = mul(c, 0.62f + 0.76f * var * (m->vary + 0.5f));
        c.x *= 0.9f + 0.25f * lattice((int)(p.x * 0.3f) + 7, 3, (int)(p.z * 0.3f));
        if (world.snow && n->y > 0.25f && fbm(mul(p, 1.3f), 2) > -0.25f) c = v(0.82f, 0.84f, 0.88f);
        break;
    case PLASTER: {
        float a = fbm(mul(local, 0.7f), 4), b = fbm(mul(local, 9), 3), drip = fbm(v(local.x * 3.2f, local.y * 0.35f, local.z * 3.2f), 3);
        c = mul(c, 0.88f + 0.20f * a + 0.10f * b + 0.16f * drip);
        *n = bump(local, *n, 7, 0.05f);
        break;
    }
    case BRICK: {
        float u = fabsf(n->x) > 0.7f ? local.z : local.x, row = floorf(local.y / 0.075f), k = u / 0.24f + 0.5f * fmodf(row + 1000, 2);
        float fu = k - floorf(k), fv = local.y / 0.075f - row, r = lattice((int)floorf(k), (int)row, 5);
        c = mul(c, 0.68f + 0.55f * r + 0.2f * fbm(mul(local, 6), 3));
        if (fu < 0.05f || fv < 0.14f) c = v(0.36f, 0.34f, 0.31f);
        break;
    }
    case ROAD: {
        float row = floorf(p.z / 0.13f), k = p.x / 0.15f + 0.5f * fmodf(row + 4000, 2), a = k - floorf(k) - 0.5f, b = p.z / 0.13f - row - 0.5f;
        float r = lattice((int)floorf(k), (int)row, 9), d = fmaxf(fabsf(a), fabsf(b));
        c = mul(c, (0.72f + 0.5f * r + 0.25f * fbm(mul(p, 0.6f), 4)) * (d > 0.43f ? 0.45f : 1.0f));
        if (near > 0) *n = norm(add(*n, mul(v(a + 0.3f * (r - 0.5f), 0, b), 0.55f * near)));
        break;
    }
    case ROCK: {
        float a = fbm(mul(local, 0.5f), 5), b = fbm(v(local.x * 0.8f, local.y * 4, local.z * 0.8f), 4);
        c = mul(c, 0.85f + 0.6f * a + 0.35f * b);
        c = mix3(c, v(0.05f, 0.05f, 0.045f), 0.8f * smooth(1.4f, 0.1f, p.y + a));
        c = mix3(c, v(0.20f, 0.24f, 0.09f), smooth(0.72f, 0.92f, n->y) * smooth(3.0f, 6.5f, p.y + 3 * a) * m->vary);
        if (near > 0) *n = bump(local, *n, 1.6f, 0.35f * near);
        break;
    }
    case BIRCH: {
        float band = fbm(v(local.x * 30, local.y * 160, local.z * 30), 3), old = smooth(0.16f, 0.02f, local.y);
        c = mul(c, 0.85f + 0.4f * fbm(mul(local, 40), 3));
        c = mix3(c, v(0.045f, 0.04f, 0.035f), clampf(smooth(0.16f, 0.30f, band) + 0.7f * old, 0, 1));
        break;
    }
    case SNOW:
        c = mul(c, 0.96f + 0.07f * fbm(mul(p, 2), 3));
        if (near > 0) *n = bump(p, *n, 2.2f, 0.10f * near);
        break;
    case APPLE: {
        float a = atan2f(local.z, local.x), s = fbm(v(a * 7, local.y * 6 + var * 40, var * 10), 3), blush = smooth(-0.3f, 0.5f, sinf(a + var * 9) + 0.6f * s);
        c = mix3(v(0.55f, 0.50f, 0.10f), c, blush * 0.95f);
        c = mul(c, 0.85f + 0.35f * s + 0.2f * noise(mul(local, 90)));
        break;
    }
    case CLOTH: {
        float w = 0.5f + 0.5f * sinf(local.x * 1400) * sinf(local.z * 1400), f = local.x * 11, g = local.z * 11;
        int stripe = (f - floorf(f) < 0.34f) + (g - floorf(g) < 0.34f);
        c = mul(mix3(v(0.80f, 0.77f, 0.70f), c, m->vary * (float)stripe * 0.5f), 0.88f + 0.14f * w + 0.08f * fbm(mul(local, 30), 2));
        break;
    }
    case PLAIN: c = mul(c, 1 + m->vary * (var - 0.5f) + 0.12f * fbm(mul(local, 6), 3)); break;
    default: break;
    }
    return v(clampf(c.x, 0, 0.95f), clampf(c.y, 0, 0.95f), clampf(c.z, 0, 0.95f));
}

static V hemisphere(V n, uint32_t *s) {
    float a = 2 * PI * rnd(s), r = rnd(s), q = sqrtf(r);
    V x, y;
    frame_of(n, &x, &y);
    return norm(add(add(mul(x, q * cosf(a)), mul(y, q * sinf(a))), mul(n, sqrtf(1 - r))));
}
static V radiance(V o, V d, uint32_t *s) {
    V light = v(0, 0, 0), pass = v(1, 1, 1);
    int mirror = 1, wet = 0;
    float travelled = 0;
    for (int bounce = 0; bounce < 6; bounce++) {
        Hit hit = {.t = 1e5f, .tri = NULL};
        intersect(o, d, &hit, 0);
        int on_water = 0;
        if (world.water && !wet && d.y < -1e-5f) {
            float t = -o.y / d.y;
            if (t > 1e-3f && t < hit.t) { hit.t = t; on_water = 1; }
        }
        int none = !hit.tri && !on_water;
        if (wet) {
            float t = none ? 60 : hit.t;
            V a = v(expf(-world.water_absorb.x * t), expf(-world.water_absorb.y * t), expf(-world.water_absorb.z * t));
            light = add(light, had(pass, had(world.water_colour, sub(v(1, 1, 1), a))));
            pass = had(pass, a);
            if (none) break;
        }
        if (none) { light = add(light, had(pass, sky(d, mirror))); break; }
        travelled += hit.t;
        if (!wet && world.haze > 0) {
            float t = hit.t * world.haze;
            V T = v(expf(-t * 0.75f), expf(-t), expf(-t * 1.35f));
            V h = add(world.haze_colour, mul(world.sun_light, 0.012f * powf(clampf(dot(d, world.sun), 0, 1), 4)));
            light = add(light, had(pass, had(h, sub(v(1, 1, 1), T))));
            pass = had(pass, T);
        }
        V p = add(o, mul(d, hit.t));
        if (on_water) {
            V n = ripple(p, travelled);
            float c = clampf(-dot(d, n), 0.02f, 1), f = 0.02f + 0.98f * powf(1 - c, 5);
            if (rnd(s) < f) {
                d = sub(d, mul(n, 2 * dot(d, n)));
                if (d.y < 0.002f) d.y = 0.002f;
                d = norm(d);
                o = add(p, v(0, 2e-3f, 0));
            } else {
                float e = 1 / 1.33f;
                d = norm(add(mul(d, e), mul(n, e * c - sqrtf(1 - e * e * (1 - c * c)))));
                if (d.y > -0.02f) d.y = -0.02f;
                o = add(p, v(0, -2e-3f, 0));
                wet = 1;
            }
            continue;
        }
        const Instance *in = hit.in;
        const Tri *t = hit.tri;
        const Material *m = &materials[t->mat];
        if (m->kind == GLOW) { light = add(light, had(pass, m->colour)); break; }
        V g = world_of(in, norm(cross(t->e1, t->e2)));
        V n = world_of(in, norm(add(add(mul(t->n0, 1 - hit.u - hit.w), mul(t->n1, hit.u)), mul(t->n2, hit.w))));
        V local = mul(local_of(in, sub(p, in->at)), 1 / in->s);
        if (dot(g, d) > 0) g = mul(g, -1);
        if (dot(n, g) < 0) n = mul(n, -1);
        V c = surface(m, p, local, &n, clampf(t->var * 0.6f + in->var * 0.4f, 0, 1), travelled);
        float lift = 1e-3f + 2e-5f * travelled;
        V above = add(p, mul(g, lift)), below = sub(p, mul(g, lift));
        o = above;
        if (m->gloss > 0) {
            float cs = clampf(-dot(d, n), 0, 1), f = (0.04f + 0.96f * powf(1 - cs, 5)) * (m->kind == GLASS ? 1.6f : 1);
            if (rnd(s) < f) {
                V r = sub(d, mul(n, 2 * dot(d, n)));
                r = norm(add(r, mul(hemisphere(n, s), (1 - m->gloss) * 0.5f)));
                if (dot(r, g) < 0) break;
                d = r;
                mirror = m->gloss > 0.9f;
                continue;
            }
        }
        int leaf = m->kind == LEAF;
        V side = n, from = above;
        V l = norm(add(world.sun, mul(v(rnd(s) - 0.5f, rnd(s) - 0.5f, rnd(s) - 0.5f), 2 * world.sun_size)));
        float cs = dot(n, l);
        if (leaf && cs < 0) { cs = -0.55f * cs; from = below; }
        else if (leaf) cs *= 0.8f;
        if (cs > 0 && world.sun_light.x > 0) {
            Hit shadow = {.t = 4e3f};
            float k = wet ? expf(p.y * 0.5f) * 0.8f : 1;
            if (!intersect(from, l, &shadow, 1)) light = add(light, had(pass, mul(had(c, world.sun_light), cs * k / PI)));
        }
        pass = had(pass, c);
        if (leaf && rnd(s) < 0.35f) { side = mul(n, -1); o = below; }
        d = hemisphere(side, s);
        mirror = 0;
        if (bounce > 1) {
            float k = fmaxf(pass.x, fmaxf(pass.y, pass.z));
            if (k < 0.3f) { if (rnd(s) > k / 0.3f) break; pass = mul(pass, 0.3f / k); }
        }
    }
    return light;
}

#include "scenes.h"

static int W, H, N, next_row, left, right, bottom;
static float *image;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *work(void *unused) {
    (void)unused;
    V f = norm(sub(world.look, world.eye)), r = norm(cross(v(0, 1, 0), f)), u = cross(f, r);
    float th = tanf(world.fov * PI / 360) * 2 / (float)(H > W ? W : H);
    for (;;) {
        pthread_mutex_lock(&lock);
        int y = next_row++;
        pthread_mutex_unlock(&lock);
        if (y >= bottom) return NULL;
        for (int x = left; x < right; x++) {
            uint32_t s = hash32((uint32_t)(y * W + x) * 2654435761u + 12345u);
            V sum = v(0, 0, 0);
            for (int k = 0; k < N; k++) {
                float px = ((float)x + rnd(&s) + rnd(&s) - 0.5f - (float)W / 2) * th, py = ((float)H / 2 - (float)y - rnd(&s) - rnd(&s) + 0.5f) * th;
                V d = norm(add(f, add(mul(r, px), mul(u, py)))), o = world.eye;
                if (world.aperture > 0) {
                    V p = add(o, mul(d, world.focus / dot(d, f)));
                    float a = 2 * PI * rnd(&s), q = world.aperture * sqrtf(rnd(&s));
                    o = add(o, add(mul(r, q * cosf(a)), mul(u, q * sinf(a))));
                    d = norm(sub(p, o));
                }
                V c = radiance(o, d, &s);
                float m = fmaxf(c.x, fmaxf(c.y, c.z));
                if (m > world.clamp) c = mul(c, world.clamp / m);
                if (!(c.x + c.y + c.z >= 0)) c = v(0, 0, 0);
                sum = add(sum, c);
            }
            float *q = image + 3 * ((size_t)y * (size_t)W + (size_t)x);
            q[0] = sum.x / (float)N; q[1] = sum.y / (float)N; q[2] = sum.z / (float)N;
        }
    }
}
int main(int argc, char **argv) {
    if (argc < 6) { fprintf(stderr, "usage: scene NAME WIDTH HEIGHT SAMPLES OUT [THREADS]\n"); return 2; }
    W = atoi(argv[2]); H = atoi(argv[3]); N = atoi(argv[4]);
    if (!compose(argv[1])) { fprintf(stderr, "scene: no scene is called %s\n", argv[1]); return 2; }
    build();
    image = calloc((size_t)W * (size_t)H * 3, sizeof(float));
    right = W; bottom = H;
    if (argc > 10) { left = atoi(argv[7]); next_row = atoi(argv[8]); right = atoi(argv[9]); bottom = atoi(argv[10]); }
    int threads = argc > 6 ? atoi(argv[6]) : 2;
    pthread_t id[64];
    if (threads > 64) threads = 64;
    for (int i = 0; i < threads; i++) pthread_create(&id[i], NULL, work, NULL);
    for (int i = 0; i < threads; i++) pthread_join(id[i], NULL);
    FILE *file = fopen(argv[5], "wb");
    if (!file) { perror(argv[5]); return 1; }
    size_t n = (size_t)W * (size_t)H * 3;
    int bad = fwrite(image, sizeof(float), n, file) != n;
    bad |= fclose(file);
    return bad ? 1 : 0;
}
