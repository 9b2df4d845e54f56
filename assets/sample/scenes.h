/* The scenes themselves: plants, buildings, people, ground; part of scene.c. */

/* ---- plants ---- */
static int mesh_conifer(int needle, int bark, float fat, int rich) {
    int id = new_mesh();
    float lean = RR(-0.02f, 0.02f);
    cone(v(0, -0.05f, 0), v(lean, 0.97f, 0), 0.016f, 0.002f, 6, bark, R());
    int whorls = rich ? 58 : 34;
    for (int w = 0; w < whorls; w++) {
        float y = 0.07f + 0.93f * powf((float)w / (float)whorls, 0.94f), reach = fat * powf(1.015f - y, 0.8f) * RR(0.8f, 1.1f);
        if (y < 0.16f && R() < 0.45f) continue;
        int arms = rich ? 8 : 6;
        float turn = RR(0, 6.28f);
        for (int a = 0; a < arms; a++) {
            float th = turn + 6.2832f * (float)a / (float)arms + RR(-0.3f, 0.3f), r = reach * RR(0.62f, 1.12f);
            V o = v(cosf(th), 0, sinf(th)), sidev = v(-o.z, 0, o.x);
            int steps = rich ? 7 : 5;
            for (int k = 0; k < steps; k++) {
                float s0 = (float)k / (float)steps, s1 = s0 + 1.3f / (float)steps, l = r * (0.42f * (1 - 0.72f * s0)) * RR(0.6f, 1.2f);
                V p = add(mul(o, r * s0), v(lean * y, y + r * (0.22f * s0 - 0.62f * s0 * s0), 0)), q = add(mul(o, r * s1), v(lean * y, y + r * (0.22f * s1 - 0.62f * s1 * s1), 0));
                float var = clampf(0.25f + 0.6f * s0 + RR(-0.2f, 0.2f), 0, 1);
                for (int d = -1; d <= 1; d += 2) {
                    V tip = add(add(p, mul(sidev, (float)d * l)), add(mul(o, l * 0.75f), v(0, -l * RR(0.2f, 0.6f), 0)));
                    tri(p, mix3(p, q, 0.55f), tip, needle, var);
                }
                tri(p, q, add(mix3(p, q, 0.6f), v(0, -RR(0.010f, 0.026f), 0)), needle, var * 0.7f);
            }
        }
    }
    return id;
}
static void twig(V p, V d, float length, float radius, int depth, int bark, int leaf, float leaf_size, int leaves) {
    V e = add(p, mul(d, length));
    cone(p, e, radius, radius * 0.68f, depth > 2 ? 8 : 4, bark, 0.4f);
    if (depth <= 1)
        for (int i = 0; i < leaves; i++) {
            V c = add(mix3(p, e, RR(0.2f, 1.3f)), v(RR(-1, 1) * length * 0.55f, RR(-1, 1) * length * 0.45f, RR(-1, 1) * length * 0.55f));
            V a = norm(v(RR(-1, 1), RR(-0.6f, 0.6f), RR(-1, 1))), b = norm(v(RR(-1, 1), RR(-1, 1), RR(-1, 1)));
            float s = leaf_size * RR(0.6f, 1.3f);
            tri(sub(c, mul(a, s)), add(c, mul(a, s)), add(c, mul(b, s)), leaf, R());
            if (leaf_size > 0.006f) tri(sub(c, mul(a, s)), sub(c, mul(b, s * 0.6f)), add(c, mul(a, s)), leaf, R());
        }
    if (depth == 0) return;
    int n = depth > 2 ? 5 : 4;
    for (int i = 0; i < n; i++) {
        V x, y;
        frame_of(d, &x, &y);
        float th = 6.2832f * (float)i / (float)n + RR(-0.6f, 0.6f), spread = RR(0.35f, 0.95f);
        V nd = norm(add(add(d, mul(add(mul(x, cosf(th)), mul(y, sinf(th))), spread)), v(0, 0.12f, 0)));
        twig(mix3(p, e, i == 0 ? 1 : RR(0.45f, 1)), nd, length * RR(0.58f, 0.8f), radius * 0.6f, depth - 1, bark, leaf, leaf_size, leaves);
    }
}
static int mesh_broadleaf(int bark, int leaf, float leaf_size, int leaves, float trunk, float girth) {
    int id = new_mesh();
    twig(v(0, -0.03f, 0), norm(v(RR(-0.06f, 0.06f), 1, RR(-0.06f, 0.06f))), trunk, girth, 4, bark, leaf, leaf_size, leaves);
    return id;
}
static void blade(V root, float height, float width, float bend, int mat, float var) {
    float th = RR(0, 6.2832f), f = RR(0, 6.2832f);
    V o = v(cosf(th), 0, sinf(th)), w = mul(v(cosf(f), 0, sinf(f)), width);
    V m = add(root, add(v(0, height * 0.55f, 0), mul(o, bend * height * 0.25f))), t = add(root, add(v(0, height, 0), mul(o, bend * height)));
    tri(sub(root, w), add(root, w), add(m, mul(w, 0.7f)), mat, var);
    tri(sub(root, w), add(m, mul(w, 0.7f)), sub(m, mul(w, 0.7f)), mat, var);
    tri(sub(m, mul(w, 0.7f)), add(m, mul(w, 0.7f)), t, mat, var);
}
static int mesh_tuft(int n, float spread, float height, float width, float bend, int mat, int head) {
    int id = new_mesh();
    for (int i = 0; i < n; i++) {
        float a = RR(0, 6.2832f), r = spread * sqrtf(R());
        V p = v(r * cosf(a), -0.3f * height * R(), r * sinf(a));
        blade(p, height * RR(0.55f, 1.25f), width * RR(0.7f, 1.2f), bend * RR(0.1f, 1.3f), mat, R());
        if (head >= 0 && i % 5 == 0) {
            float h = height * RR(0.95f, 1.15f);
            cone(p, add(p, v(0.02f, h, 0)), 0.004f, 0.003f, 4, mat, R());
            cone(add(p, v(0.02f, h - 0.05f, 0)), add(p, v(0.02f, h + 0.10f, 0)), 0.012f, 0.011f, 6, head, R());
        }
    }
    return id;
}

/* ---- things people made ---- */
static void gable_roof(float w, float d, float eave, float rise, float over, int mat, float shingle) {
    float run = w / 2 + over, slope = atan2f(rise, w / 2), len = run / cosf(slope);
    int rows = (int)(len / shingle), cols = (int)((d + 2 * over) / (shingle * 0.9f));
    for (int sd = -1; sd <= 1; sd += 2)
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < cols; c++) {
                float s0 = (float)r / (float)rows * len - 0.02f, s1 = s0 + len / (float)rows * 1.35f, z0 = -d / 2 - over + (d + 2 * over) * (float)c / (float)cols, z1 = z0 + (d + 2 * over) / (float)cols * 0.985f;
                float lift = 0.02f + RR(0, 0.012f), top_y = eave + rise;
                V a = v((float)sd * s0 * cosf(slope), top_y - s0 * sinf(slope) + 0.004f, z0), b = v((float)sd * s1 * cosf(slope), top_y - s1 * sinf(slope) + lift, z0);
                V a2 = v(a.x, a.y, z1), b2 = v(b.x, b.y, z1);
                float var = R();
                quad(a, b, b2, a2, mat, var);
                quad(b, b2, v(b2.x, b2.y - 0.025f, b2.z), v(b.x, b.y - 0.025f, b.z), mat, var * 0.6f);
            }
    box(v(-0.09f, eave + rise - 0.01f, -d / 2 - over), v(0.09f, eave + rise + 0.05f, d / 2 + over), mat, 0.4f);
    for (int sd = -1; sd <= 1; sd += 2)
        for (int e = -1; e <= 1; e += 2) {
            float z = (float)e * (d / 2 + over);
            V a = v(0, eave + rise, z), b = v((float)sd * run, eave + rise - run * tanf(slope), z);
            V dz = v(0, 0, -0.03f * (float)e), dy = v(0, -0.14f, 0);
            quad(a, b, add(b, dy), add(a, dy), mat, 0.2f);
            quad(add(a, dy), add(b, dy), add(add(b, dy), dz), add(add(a, dy), dz), mat, 0.2f);
        }
}
/* A wall of upright boards from (x0) to (x1) at depth z, its top following a gable if rise > 0. */
static void board_wall_x(float x0, float x1, float z, float y0, float y1, float rise, int mat, float hole_a, float hole_b, float hole_lo, float hole_hi) {
    float mid = (x0 + x1) / 2, half = (x1 - x0) / 2;
    for (float x = x0; x < x1 - 0.01f; x += 0.17f) {
        float e = fminf(x + 0.163f, x1), t = y1 + rise * (1 - fabsf((x + e) / 2 - mid) / half) - 0.02f, off = RR(-0.008f, 0.008f), var = R();
        if (x + 0.08f > hole_a && x + 0.08f < hole_b) {
            if (hole_lo > y0) box(v(x, y0 + RR(-0.03f, 0.02f), z - 0.015f + off), v(e, hole_lo, z + 0.015f + off), mat, var);
            if (hole_hi < t) box(v(x, hole_hi, z - 0.015f + off), v(e, t, z + 0.015f + off), mat, var);
        } else box(v(x, y0 + RR(-0.03f, 0.02f), z - 0.015f + off), v(e, t, z + 0.015f + off), mat, var);
    }
}
static void board_wall_z(float z0, float z1, float x, float y0, float y1, int mat, float hole_a, float hole_b, float hole_lo, float hole_hi) {
    for (float z = z0; z < z1 - 0.01f; z += 0.17f) {
        float e = fminf(z + 0.163f, z1), off = RR(-0.008f, 0.008f), var = R(), b = y0 + RR(-0.03f, 0.02f);
        if (z + 0.08f > hole_a && z + 0.08f < hole_b) {
            box(v(x - 0.015f + off, b, z), v(x + 0.015f + off, hole_lo, e), mat, var);
            box(v(x - 0.015f + off, hole_hi, z), v(x + 0.015f + off, y1, e), mat, var);
        } else box(v(x - 0.015f + off, b, z), v(x + 0.015f + off, y1, e), mat, var);
    }
}
static void window_x(float a, float b, float lo, float hi, float z, int frame, int pane, int out_sign) {
    float t = 0.06f, f = (float)out_sign;
    box(v(a - t, lo - t, z - 0.03f), v(a, hi + t, z + 0.05f * f), frame, 0.6f);
    box(v(b, lo - t, z - 0.03f), v(b + t, hi + t, z + 0.05f * f), frame, 0.6f);
    box(v(a - t - 0.03f, lo - t, z - 0.03f), v(b + t + 0.03f, lo, z + 0.10f * f), frame, 0.6f);
    box(v(a - t, hi, z - 0.03f), v(b + t, hi + t, z + 0.06f * f), frame, 0.6f);
    box(v((a + b) / 2 - 0.02f, lo, z - 0.02f), v((a + b) / 2 + 0.02f, hi, z + 0.02f), frame, 0.6f);
    for (int i = 1; i < 3; i++) { float y = lo + (hi - lo) * (float)i / 3; box(v(a, y - 0.015f, z - 0.02f), v(b, y + 0.015f, z + 0.02f), frame, 0.6f); }
    quad(v(a, lo, z), v(b, lo, z), v(b, hi, z), v(a, hi, z), pane, 0.3f);
}
static void window_z(float a, float b, float lo, float hi, float x, int frame, int pane) {
    float t = 0.06f;
    box(v(x - 0.05f, lo - t, a - t), v(x + 0.05f, hi + t, a), frame, 0.6f);
    box(v(x - 0.05f, lo - t, b), v(x + 0.05f, hi + t, b + t), frame, 0.6f);
    box(v(x - 0.08f, lo - t, a - t), v(x + 0.08f, lo, b + t), frame, 0.6f);
    box(v(x - 0.05f, hi, a - t), v(x + 0.05f, hi + t, b + t), frame, 0.6f);
    box(v(x - 0.02f, lo, (a + b) / 2 - 0.02f), v(x + 0.02f, hi, (a + b) / 2 + 0.02f), frame, 0.6f);
    box(v(x - 0.02f, (lo + hi) / 2 - 0.015f, a), v(x + 0.02f, (lo + hi) / 2 + 0.015f, b), frame, 0.6f);
    quad(v(x, lo, a), v(x, lo, b), v(x, hi, b), v(x, hi, a), pane, 0.3f);
}
static void person(V at, float yaw, float h, int skin, int hair, int shirt, int legs, int shoes, float stride) {
    place(at, yaw);
    float s = h / 1.75f;
#define S(x, y, z) v((x) * s, (y) * s, (z) * s)
    for (int d = -1; d <= 1; d += 2) {
        float f = (float)d, st = stride * f;
        limb(S(0.09f * f, 0.90f, 0), S(0.10f * f, 0.50f, st * 0.6f), 0.085f * s, 0.065f * s, legs);
        limb(S(0.10f * f, 0.50f, st * 0.6f), S(0.11f * f, 0.10f, st - 0.05f), 0.065f * s, 0.055f * s, legs);
        ball(S(0.11f * f, 0.05f, st + 0.03f), S(0.05f, 0.05f, 0.13f), shoes, 0.5f);
        limb(S(0.20f * f, 1.40f, 0), S(0.27f * f, 1.13f, -0.03f - st * 0.4f), 0.058f * s, 0.048f * s, shirt);
        limb(S(0.27f * f, 1.13f, -0.03f - st * 0.4f), S(0.24f * f, 0.90f, 0.08f - st * 0.5f), 0.046f * s, 0.038f * s, shirt);
        ball(S(0.24f * f, 0.85f, 0.10f - st * 0.5f), S(0.04f, 0.055f, 0.04f), skin, 0.5f);
    }
    ball(S(0, 0.96f, 0), S(0.165f, 0.14f, 0.12f), legs, 0.5f);
    ball(S(0, 1.17f, 0), S(0.17f, 0.27f, 0.115f), shirt, 0.5f);
    ball(S(0, 1.35f, 0), S(0.215f, 0.12f, 0.115f), shirt, 0.5f);
    limb(S(0, 1.44f, 0), S(0, 1.52f, 0.01f), 0.052f * s, 0.05f * s, skin);
    ball(S(0, 1.63f, 0.015f), S(0.078f, 0.112f, 0.095f), skin, 0.5f);
    ball(S(0, 1.66f, -0.02f), S(0.09f, 0.105f, 0.10f), hair, 0.5f);
#undef S
}
/* An open rowing boat along z, clinker planked, 4 m long. */
static void boat(V at, float yaw, int hull, int inside, int trim) {
    place(at, yaw);
    enum { U = 20, S = 7 };
    for (int shell = 0; shell < 2; shell++)
        for (int side = -1; side <= 1; side += 2)
            for (int j = 0; j < S; j++)
                for (int i = 0; i < U; i++) {
                    V p[4], lip[2];
                    for (int k = 0; k < 4; k++) {
                        float u = (float)(i + (k == 1 || k == 2)) / U, w = (float)(j + (k >= 2)) / S;
                        float beam = 0.72f * powf(fmaxf(0, sinf(PI * (0.13f + 0.87f * u))), 0.72f), keel = -0.10f + 0.5f * powf(u, 6), sheer = 0.36f + 0.22f * powf(fabsf(u - 0.35f) * 1.4f, 2);
                        float a = w * PI * 0.5f, wide = beam * powf(fmaxf(0, sinf(a)), 0.75f), hgt = keel + (sheer - keel) * powf(fmaxf(0, 1 - cosf(a)), 0.8f);
                        float puff = shell ? -0.018f : (k < 2 ? 0.016f : 0.0f);
                        p[k] = v((float)side * (wide + puff), hgt, (u - 0.5f) * 4.0f);
                    }
                    quad(p[0], p[1], p[2], p[3], shell ? inside : hull, 0.35f + 0.3f * lattice(j, side, shell));
                    if (j == S - 1) {
                        lip[0] = add(p[3], v((float)side * 0.045f, 0, 0)); lip[1] = add(p[2], v((float)side * 0.045f, 0, 0));
                        quad(add(p[3], v(-(float)side * 0.03f, 0.025f, 0)), add(p[2], v(-(float)side * 0.03f, 0.025f, 0)), add(lip[1], v(0, 0.025f, 0)), add(lip[0], v(0, 0.025f, 0)), trim, 0.5f);
                        quad(add(lip[0], v(0, 0.025f, 0)), add(lip[1], v(0, 0.025f, 0)), add(lip[1], v(0, -0.04f, 0)), add(lip[0], v(0, -0.04f, 0)), trim, 0.4f);
                    }
                }
    box(v(-0.30f, 0.0f, -2.02f), v(0.30f, 0.40f, -1.96f), hull, 0.3f);
    float at_z[3] = {-1.35f, -0.1f, 1.0f}, wide[3] = {0.56f, 0.69f, 0.52f};
    for (int i = 0; i < 3; i++) box(v(-wide[i], 0.19f, at_z[i] - 0.13f), v(wide[i], 0.225f, at_z[i] + 0.13f), inside, 0.7f);
    cone(v(-0.25f, 0.27f, -1.7f), v(-0.1f, 0.25f, 0.9f), 0.02f, 0.02f, 6, trim, 0.6f);
    cone(v(0.22f, 0.27f, -1.6f), v(0.2f, 0.25f, 0.95f), 0.02f, 0.02f, 6, trim, 0.6f);
    box(v(-0.17f, 0.24f, 0.85f), v(-0.02f, 0.26f, 1.35f), trim, 0.6f);
    box(v(0.12f, 0.24f, 0.9f), v(0.27f, 0.26f, 1.4f), trim, 0.6f);
}

/* ---- ground ---- */
typedef float (*Height)(float x, float z);
static void terrain(Height h, float x0, float x1, float z0, float z1, float step, int mat, float floor_y, int holes, float hx0, float hx1, float hz0, float hz1) {
    int nx = (int)((x1 - x0) / step), nz = (int)((z1 - z0) / step), stride = nx + 3;
    float *g = malloc(sizeof(float) * (size_t)stride * (size_t)(nz + 3));
    for (int j = 0; j < nz + 3; j++) for (int i = 0; i < nx + 3; i++) g[j * stride + i] = h(x0 + (float)(i - 1) * step, z0 + (float)(j - 1) * step);
#define G(i, j) g[((j) + 1) * stride + (i) + 1]
#define N3(i, j) norm(v(G((i) - 1, j) - G((i) + 1, j), 2 * step, G(i, (j) - 1) - G(i, (j) + 1)))
#define P3(i, j) v(x0 + (float)(i) * step, G(i, j), z0 + (float)(j) * step)
    for (int j = 0; j < nz; j++)
        for (int i = 0; i < nx; i++) {
            float x = x0 + (float)i * step, z = z0 + (float)j * step;
            if (holes && x > hx0 && x + step < hx1 && z > hz0 && z + step < hz1) continue;
            if (G(i, j) < floor_y && G(i + 1, j) < floor_y && G(i, j + 1) < floor_y && G(i + 1, j + 1) < floor_y) continue;
            tri_n(P3(i, j), P3(i, j + 1), P3(i + 1, j + 1), N3(i, j), N3(i, j + 1), N3(i + 1, j + 1), mat, 0.5f);
            tri_n(P3(i, j), P3(i + 1, j + 1), P3(i + 1, j), N3(i, j), N3(i + 1, j + 1), N3(i + 1, j), mat, 0.5f);
        }
    free(g);
}

/* ---- a lake in summer ---- */
static float lake_ground(float x, float z) {
    float right = (x - (8.2f + 2.6f * fbm(v(z * 0.07f, 1, 0), 3) + fmaxf(0, z - 34) * 0.75f)) * 0.20f;
    float near = (0.6f - z + 1.2f * fbm(v(x * 0.22f, 4, 0), 3) - 0.10f * x) * 0.22f;
    float far = (z - 300 - 60 * fbm(v(x * 0.008f, 9, 0), 4) - 0.05f * x) * 0.3f;
    float left = (-x - 95 - 0.35f * z + 30 * fbm(v(z * 0.012f, 12, 0), 3)) * 0.22f;
    float s = fmaxf(fmaxf(right, near), fmaxf(far, left));
    if (s < 0) return fmaxf(-4, s * 1.4f - 0.05f);
    float rise = s < 1.2f ? s : 1.2f + (s - 1.2f) * (0.55f + 0.5f * smooth(2, 20, s));
    float cap = 52 + 42 * fbm(v(x * 0.0032f, 3, z * 0.003f), 4) + 46 * smooth(60, 420, fabsf(x + 40));
    rise = cap * (1 - expf(-rise / cap));
    return rise + fbm(v(x * 0.13f, 0, z * 0.13f), 5) * 0.35f * clampf(s * 3, 0.1f, 1) + fbm(v(x * 0.02f, 5, z * 0.02f), 4) * 7 * smooth(4, 30, s);
}
static float peaks(float x, float z) {
    float k = smooth(1300, 4200, z), w = ridged(v(x * 0.00034f + 2.6f, 1, z * 0.00034f), 9);
    float mass = 0.35f + 0.75f * smooth(3800, 300, fabsf(x - 1050)) + 0.35f * smooth(1500, 200, fabsf(x + 1900));
    return -20 + k * (1950 * (w - 0.27f) * mass + 220 * fbm(v(x * 0.0011f, 0, z * 0.0011f), 6)) + 130 * smooth(1200, 2600, z);
}
static void lake(void) {
    int grass = material(GROUND, v(0.085f, 0.105f, 0.035f), 0, 0, 0), far = material(PLAIN, v(0.045f, 0.060f, 0.028f), 0.3f, 0, 0), mount = material(MOUNTAIN, v(0.2f, 0.2f, 0.2f), 0, 0, 0);
    int needle = material(LEAF, v(0.042f, 0.066f, 0.030f), 0.7f, 0, 0), needle2 = material(LEAF, v(0.058f, 0.078f, 0.028f), 0.7f, 0, 0), bark = material(PLAIN, v(0.10f, 0.075f, 0.055f), 0.5f, 0, 0);
    int leaf = material(LEAF, v(0.088f, 0.118f, 0.034f), 0.6f, 0, 0), birch = material(BIRCH, v(0.42f, 0.40f, 0.36f), 0.5f, 0, 0);
    int reed = material(LEAF, v(0.20f, 0.22f, 0.075f), 0.6f, 0, 0), head = material(PLAIN, v(0.10f, 0.055f, 0.03f), 0.3f, 0, 0), blades = material(LEAF, v(0.115f, 0.15f, 0.045f), 0.7f, 0, 0);
    int red = material(WOOD, v(0.235f, 0.062f, 0.036f), 0.55f, 0, 1), grey = material(WOOD, v(0.30f, 0.265f, 0.225f), 0.7f, 0, 0), greyz = material(WOOD, v(0.31f, 0.275f, 0.235f), 0.7f, 0, 2), pile = material(WOOD, v(0.17f, 0.145f, 0.115f), 0.5f, 0, 1);
    int white = material(WOOD, v(0.66f, 0.64f, 0.58f), 0.25f, 0, 1), roof = material(WOOD, v(0.145f, 0.128f, 0.115f), 0.75f, 0, 0), dark = material(PLAIN, v(0.02f, 0.018f, 0.015f), 0, 0, 0), pane = material(GLASS, v(0.03f, 0.035f, 0.04f), 0, 0.97f, 0);
    int stone = material(ROCK, v(0.24f, 0.225f, 0.205f), 0, 0, 0), hull = material(WOOD, v(0.07f, 0.16f, 0.21f), 0.25f, 0.35f, 2), inside = material(WOOD, v(0.42f, 0.30f, 0.17f), 0.4f, 0, 2), trim = material(WOOD, v(0.52f, 0.40f, 0.24f), 0.3f, 0, 2);
    int skin = material(PLAIN, v(0.50f, 0.31f, 0.22f), 0, 0, 0), hair = material(PLAIN, v(0.09f, 0.05f, 0.03f), 0, 0, 0), jumper = material(PLAIN, v(0.52f, 0.17f, 0.05f), 0, 0, 0), jeans = material(PLAIN, v(0.06f, 0.085f, 0.16f), 0, 0, 0), shoe = material(PLAIN, v(0.05f, 0.035f, 0.025f), 0, 0, 0);

    int m = new_mesh(); terrain(lake_ground, -14, 46, -8, 70, 0.25f, grass, -1.6f, 0, 0, 0, 0, 0); instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh(); terrain(lake_ground, -560, 620, -40, 1250, 5, far, -3.5f, 1, -14, 46, -8, 70); instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh(); terrain(peaks, -5200, 5600, 1250, 9000, 30, mount, -100, 0, 0, 0, 0, 0); instance(m, v(0, 0, 0), 1, 0, 0.5f);

    int far_tree[3], near_tree[3];
    for (int i = 0; i < 3; i++) far_tree[i] = mesh_conifer(i == 2 ? needle2 : needle, bark, RR(0.13f, 0.18f), 0);
    for (int i = 0; i < 3; i++) near_tree[i] = mesh_conifer(i == 1 ? needle2 : needle, bark, RR(0.15f, 0.21f), 1);
    int birches[2] = {mesh_broadleaf(birch, leaf, 0.0062f, 44, 0.33f, 0.013f), mesh_broadleaf(birch, leaf, 0.0062f, 44, 0.30f, 0.012f)};
    for (float z = 60; z < 1000; z += 5.2f)
        for (float x = -480 - z * 0.1f; x < 520; x += 5.2f) {
            float px = x + RR(-2.4f, 2.4f), pz = z + RR(-2.4f, 2.4f), h = lake_ground(px, pz);
            if (h < 0.5f || fabsf(px) > 30 + pz * 0.62f || (px > -14 && px < 46 && pz < 70)) continue;
            float d = fbm(v(px * 0.011f, 8, pz * 0.011f), 3);
            if (d < -0.36f && h > 6) continue;
            if (R() < 0.06f) { instance(birches[R() < 0.5f], v(px, h, pz), RR(8, 13), RR(0, 6.28f), R()); continue; }
            instance(far_tree[(int)(R() * 2.999f)], v(px, h - 0.4f, pz), RR(9, 20) * (1 + 0.4f * d), RR(0, 6.28f), clampf(0.5f + d + RR(-0.3f, 0.3f), 0, 1));
        }
    for (int i = 0; i < 560; i++) {
        float x = RR(12, 46), z = RR(9, 72), h = lake_ground(x, z);
        if (h < 0.9f || (x < 19.5f && z > 12 && z < 36) || (R() > smooth(0.8f, 3.2f, h))) continue;
        if (R() < 0.2f) instance(birches[R() < 0.5f], v(x, h, z), RR(7, 12), RR(0, 6.28f), R());
        else instance(near_tree[(int)(R() * 2.999f)], v(x, h - 0.2f, z), RR(6, 19), RR(0, 6.28f), R());
    }
    instance(birches[0], v(10.6f, lake_ground(10.6f, 16.5f), 16.5f), 8.2f, 1.0f, 0.6f);
    int tufts[3]; for (int i = 0; i < 3; i++) tufts[i] = mesh_tuft(46, 0.24f, 0.34f, 0.006f, 0.55f, blades, -1);
    int reeds[2]; for (int i = 0; i < 2; i++) reeds[i] = mesh_tuft(38, 0.34f, 1.55f, 0.011f, 0.17f, reed, head);
    for (int i = 0; i < 15000; i++) {
        float x = RR(-12, 24), z = RR(-5, 40), h = lake_ground(x, z);
        if (h < 0.10f || (x > 8.6f && x < 15.6f && z > 22 && z < 30.5f) || fbm(v(x * 0.35f, h * 0.35f, z * 0.35f), 4) > 0.24f) continue;
        instance(tufts[(int)(R() * 2.999f)], v(x, h, z), RR(0.5f, 1.5f) * smooth(0.0f, 0.5f, h) + 0.15f, RR(0, 6.28f), R());
    }
    for (int i = 0; i < 4200; i++) {
        float x = RR(-9, 18), z = RR(3.5f, 46), h = lake_ground(x, z), patch = fbm(v(x * 0.16f, 21, z * 0.16f), 3);
        int left = x < -2.0f - 0.12f * z && z > 4 && z < 10.5f, shore = x > 6 && (z > 32 || z < 19.5f) && h > -0.45f;
        if (h > 0.08f || (!left && !shore) || patch < (left ? -0.22f : -0.08f)) continue;
        instance(reeds[R() < 0.5f], v(x, fmaxf(h, -0.5f), z), RR(0.65f, 1.1f), RR(0, 6.28f), R());
    }
    for (int i = 0; i < 420; i++) {
        float x = RR(-11, 15), z = RR(-2, 40), h = lake_ground(x, z);
        if (h < -0.35f || h > 0.22f) continue;
        float r = 0.05f + 0.32f * powf(R(), 4);
        m = i < 12 ? (new_mesh(), ball(v(0, 0, 0), v(1, RR(0.5f, 0.7f), RR(0.7f, 1)), stone, R()), mesh_count - 1) : mesh_count - 1 - (i % 10);
        instance(m, v(x, h + r * 0.15f, z), r, RR(0, 6.28f), R());
    }
    /* The boathouse stands half over the water; its gable looks at the lake to the left (-x). */
    m = new_mesh(); place(v(12.1f, 0, 26.2f), 1.5708f - 0.20f);
    float w = 4.6f, d = 6.4f, y0 = 0.55f, y1 = 2.75f, rise = 1.75f;
    for (int i = 0; i < 5; i++) for (int s = -1; s <= 1; s += 2) cone(v((float)s * (w / 2 - 0.1f), -1.6f, -d / 2 + 0.1f + (d - 0.2f) * (float)i / 4), v((float)s * (w / 2 - 0.1f), y0 + 0.05f, -d / 2 + 0.1f + (d - 0.2f) * (float)i / 4), 0.13f, 0.12f, 9, pile, R());
    board_wall_x(-w / 2, w / 2, -d / 2, y0, y1, rise, red, -1.25f, 1.25f, y0, 2.45f);
    board_wall_x(-w / 2, w / 2, d / 2, y0, y1, rise, red, 9, 9, 0, 0);
    board_wall_z(-d / 2, d / 2, -w / 2, y0, y1, red, -0.9f, 0.35f, 1.35f, 2.25f);
    board_wall_z(-d / 2, d / 2, w / 2, y0, y1, red, -0.9f, 0.35f, 1.35f, 2.25f);
    window_z(-0.83f, 0.29f, 1.42f, 2.18f, w / 2, white, pane);
    window_z(-0.83f, 0.29f, 1.42f, 2.18f, -w / 2, white, pane);
    box(v(-w / 2, y0 - 0.12f, -d / 2), v(w / 2, y0, d / 2), pile, 0.4f);
    box(v(-1.2f, y0, -d / 2 + 0.5f), v(1.2f, 2.4f, -d / 2 + 0.55f), dark, 0.5f);
    for (int s = -1; s <= 1; s += 2) {
        box(v((float)s * w / 2 - 0.07f, y0, -d / 2 - 0.04f), v((float)s * w / 2 + 0.07f, y1, -d / 2 + 0.05f), white, 0.5f);
        box(v((float)s * w / 2 - 0.07f, y0, d / 2 - 0.05f), v((float)s * w / 2 + 0.07f, y1, d / 2 + 0.04f), white, 0.5f);
        box(v((float)s * 1.3f - 0.06f, y0, -d / 2 - 0.05f), v((float)s * 1.3f + 0.06f, 2.55f, -d / 2 + 0.03f), white, 0.5f);
        for (int b = 0; b < 7; b++) { float x = (float)s * (1.34f + 0.165f * (float)b); box(v(fminf(x, x + (float)s * 0.158f), y0 + 0.03f, -d / 2 - 0.09f), v(fmaxf(x, x + (float)s * 0.158f), 2.42f, -d / 2 - 0.05f), greyz, R()); }
    }
    box(v(-1.36f, 2.45f, -d / 2 - 0.05f), v(1.36f, 2.57f, -d / 2 + 0.03f), white, 0.5f);
    gable_roof(w, d, y1, rise, 0.38f, roof, 0.23f);
    box(v(0.7f, y1 + 0.9f, 1.4f), v(1.15f, y1 + rise + 0.45f, 1.85f), stone, 0.4f);
    /* The jetty runs from the doors out to the left, then the boat and a man looking at the water. */
    place(v(0, 0, 0), 0);
    V a = v(9.2f, 0.52f, 25.3f), b = v(-1.2f, 0.50f, 21.9f), along = norm(sub(b, a)), across = v(-along.z, 0, along.x);
    float length = sqrtf(dot(sub(b, a), sub(b, a)));
    for (float t = 0; t < length; t += 0.165f) {
        V c = add(a, mul(along, t)); float half = 0.72f + RR(-0.03f, 0.03f), dip = RR(-0.008f, 0.008f), var = R();
        V p0 = add(c, mul(across, -half)), p1 = add(c, mul(across, half)), st = mul(along, 0.15f), dn = v(0, -0.04f, 0);
        p0.y += dip; p1.y += dip + RR(-0.006f, 0.006f);
        quad(p0, p1, add(p1, st), add(p0, st), grey, var);
        quad(p0, add(p0, st), add(add(p0, st), dn), add(p0, dn), grey, var * 0.8f);
        quad(p1, add(p1, st), add(add(p1, st), dn), add(p1, dn), grey, var * 0.8f);
        quad(p0, p1, add(p1, dn), add(p0, dn), grey, var * 0.7f);
    }
    for (int s = -1; s <= 1; s += 2) {
        V p = add(a, add(mul(across, 0.6f * (float)s), v(0, -0.06f, 0))), q = add(b, add(mul(across, 0.6f * (float)s), v(0, -0.06f, 0)));
        cone(p, q, 0.06f, 0.06f, 4, pile, 0.5f);
        for (int i = 0; i < 6; i++) { V c = mix3(p, q, ((float)i + 0.4f) / 5.6f); float up = i == 5 || i == 3 ? 0.75f : 0.02f; cone(v(c.x, -2.6f, c.z), v(c.x + RR(-0.04f, 0.04f), c.y + up, c.z + (float)s * 0.05f), 0.085f, 0.075f, 8, pile, R()); }
    }
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh(); boat(v(2.9f, 0.02f, 20.6f), 1.28f, hull, inside, trim);
    place(v(0, 0, 0), 0); cone(v(4.75f, 0.42f, 21.1f), v(4.5f, 0.35f, 22.9f), 0.012f, 0.012f, 5, trim, 0.5f);
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh(); person(v(-0.2f, 0.52f, 22.25f), 0.55f, 1.76f, skin, hair, jumper, jeans, shoe, 0.05f); instance(m, v(0, 0, 0), 1, 0, 0.5f);

    world.eye = v(-0.6f, 2.35f, -1.6f); world.look = v(2.9f, 3.75f, 40); world.fov = 47;
    world.sun = norm(v(-0.62f, 0.60f, -0.42f)); world.sun_light = v(4.5f, 4.05f, 3.4f);
    world.zenith = v(0.16f, 0.30f, 0.62f); world.horizon = v(0.62f, 0.72f, 0.84f);
    world.cloud = 0.62f; world.cloud_scale = 1.25f; world.cloud_at = v(3.4f, 0, 1.2f); world.cloud_dark = v(0.48f, 0.52f, 0.59f);
    world.haze = 0.00008f; world.haze_colour = v(0.50f, 0.62f, 0.80f);
    world.water = 1; world.wave = 0.15f; world.water_colour = v(0.012f, 0.028f, 0.024f); world.water_absorb = v(0.75f, 0.38f, 0.42f);
}

#include "more_scenes.h"

static int compose(const char *name) {
    static const struct { const char *name; void (*make)(void); } all[] = {{"lake", lake}, MORE_SCENES};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) if (!strcmp(name, all[i].name)) { all[i].make(); return 1; }
    return 0;
}
