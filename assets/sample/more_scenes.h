/* Further scenes for the demonstration; part of scene.c. */

/* ---- a village street ---- */
static void facade(float x, float z, float yaw, float w, float d, float h, int floors, int wall, int roof, int frame, int pane, int shutter, int door, int stone) {
    place(v(x, 0, z), yaw);
    /* The front is at local z = -d/2; panes sit in holes that the frames hide. */
    box(v(-w / 2, 0, -d / 2), v(w / 2, h, d / 2), wall, R());
    box(v(-w / 2 - 0.03f, 0, -d / 2 - 0.05f), v(w / 2 + 0.03f, 0.5f, d / 2), stone, 0.4f);
    box(v(-w / 2 - 0.05f, h - 0.18f, -d / 2 - 0.14f), v(w / 2 + 0.05f, h, d / 2), frame, 0.3f);
    int cols = (int)(w / 1.75f), door_col = (int)(R() * (float)cols);
    for (int f = 0; f < floors; f++)
        for (int c = 0; c < cols; c++) {
            float cx = -w / 2 + w * ((float)c + 0.5f) / (float)cols, lo = 0.95f + h * (float)f / (float)floors, hi = lo + 1.35f, zf = -d / 2 - 0.012f;
            if (f == 0 && c == door_col) {
                box(v(cx - 0.62f, 0, zf - 0.08f), v(cx + 0.62f, 2.42f, zf + 0.1f), frame, 0.4f);
                box(v(cx - 0.5f, 0.1f, zf - 0.10f), v(cx + 0.5f, 2.3f, zf), door, R());
                for (int k = 0; k < 3; k++) box(v(cx - 0.36f, 0.25f + 0.68f * (float)k, zf - 0.12f), v(cx + 0.36f, 0.8f + 0.68f * (float)k, zf), door, 0.8f);
                box(v(cx - 0.8f, 0, zf - 0.42f), v(cx + 0.8f, 0.14f, zf), stone, 0.6f);
                continue;
            }
            window_x(cx - 0.42f, cx + 0.42f, lo, hi, zf - 0.02f, frame, pane, -1);
            if (f > 0 || R() < 0.5f)
                for (int s = -1; s <= 1; s += 2) {
                    float a = cx + (float)s * 0.51f, b = cx + (float)s * 0.96f;
                    box(v(fminf(a, b), lo - 0.03f, zf - 0.06f), v(fmaxf(a, b), hi + 0.03f, zf), shutter, 0.4f);
                    for (int k = 0; k < 12; k++) { float y = lo + 0.04f + (hi - lo - 0.08f) * (float)k / 12; box(v(fminf(a, b) + 0.05f, y, zf - 0.085f), v(fmaxf(a, b) - 0.05f, y + 0.055f, zf - 0.05f), shutter, R()); }
                }
            if (R() < 0.35f && f > 0) box(v(cx - 0.45f, lo - 0.22f, zf - 0.3f), v(cx + 0.45f, lo - 0.06f, zf - 0.06f), door, 0.5f);
        }
    /* The ridge runs along the street, so the roof is built turned by a quarter. */
    float s = turn_s, c = turn_c;
    turn_c = -s; turn_s = c;
    gable_roof(d, w, h, d * 0.42f, 0.28f, roof, 0.26f);
    turn_c = c; turn_s = s;
    for (int e = -1; e <= 1; e += 2) tri(v((float)e * w / 2, h, -d / 2), v((float)e * w / 2, h, d / 2), v((float)e * w / 2, h + d * 0.42f - 0.03f, 0), wall, 0.5f);
    float cx = RR(-0.3f, 0.3f) * w;
    box(v(cx - 0.35f, h + 0.8f, 0.1f), v(cx + 0.35f, h + d * 0.42f + 0.9f, 0.75f), stone, 0.3f);
    box(v(cx - 0.42f, h + d * 0.42f + 0.82f, 0.03f), v(cx + 0.42f, h + d * 0.42f + 0.95f, 0.82f), stone, 0.6f);
}
static void street(void) {
    int road = material(ROAD, v(0.20f, 0.19f, 0.18f), 0, 0.12f, 0), stone = material(ROCK, v(0.26f, 0.25f, 0.23f), 0, 0, 0);
    int walls[4] = {material(PLASTER, v(0.60f, 0.55f, 0.45f), 0, 0, 0), material(PLASTER, v(0.50f, 0.40f, 0.28f), 0, 0, 0), material(BRICK, v(0.30f, 0.16f, 0.11f), 0, 0, 0), material(PLASTER, v(0.68f, 0.65f, 0.58f), 0, 0, 0)};
    int roofs[2] = {material(WOOD, v(0.20f, 0.09f, 0.06f), 0.8f, 0, 0), material(WOOD, v(0.12f, 0.115f, 0.11f), 0.7f, 0, 0)};
    int frame = material(PLAIN, v(0.62f, 0.60f, 0.54f), 0.3f, 0, 0), pane = material(GLASS, v(0.02f, 0.022f, 0.025f), 0, 0.98f, 0);
    int shut[3] = {material(WOOD, v(0.06f, 0.12f, 0.08f), 0.5f, 0, 0), material(WOOD, v(0.20f, 0.19f, 0.17f), 0.5f, 0, 0), material(WOOD, v(0.14f, 0.06f, 0.04f), 0.5f, 0, 0)};
    int door = material(WOOD, v(0.11f, 0.065f, 0.035f), 0.5f, 0, 1), iron = material(PLAIN, v(0.025f, 0.025f, 0.025f), 0, 0.3f, 0), lamp = material(PLAIN, v(0.6f, 0.58f, 0.5f), 0, 0.6f, 0);
    int skin = material(PLAIN, v(0.48f, 0.31f, 0.23f), 0, 0, 0), hair = material(PLAIN, v(0.05f, 0.035f, 0.025f), 0, 0, 0), coat = material(PLAIN, v(0.07f, 0.065f, 0.06f), 0, 0, 0), dress = material(PLAIN, v(0.5f, 0.47f, 0.42f), 0, 0, 0);
    int leaf = material(LEAF, v(0.07f, 0.10f, 0.035f), 0.6f, 0, 0), bark = material(PLAIN, v(0.13f, 0.10f, 0.075f), 0.6f, 0, 0), wood = material(WOOD, v(0.26f, 0.19f, 0.12f), 0.6f, 0, 2), hill = material(PLAIN, v(0.07f, 0.09f, 0.045f), 0.5f, 0, 0);
    int m = new_mesh();
    quad(v(-3.1f, 0, -8), v(3.1f, 0, -8), v(3.1f, 0, 140), v(-3.1f, 0, 140), road, 0.5f);
    for (int s = -1; s <= 1; s += 2) {
        float a = (float)s * 3.1f, b = (float)s * 4.8f;
        for (int i = -6; i < 120; i++) box(v(fminf(a, a + (float)s * 0.2f), -0.1f, (float)i), v(fmaxf(a, a + (float)s * 0.2f), 0.13f + RR(-0.008f, 0.008f), (float)i + 0.985f), stone, R());
        for (int i = -10; i < 200; i++) for (int k = 0; k < 3; k++) { float x0 = a + (float)s * (0.2f + 0.5f * (float)k), x1 = x0 + (float)s * 0.49f; box(v(fminf(x0, x1), -0.1f, (float)i * 0.6f), v(fmaxf(x0, x1), 0.125f + RR(-0.006f, 0.006f), (float)i * 0.6f + 0.59f), stone, R()); }
        (void)b;
    }
    for (int s = -1; s <= 1; s += 2) {
        float z = s < 0 ? -3 : -1;
        for (int i = 0; i < 12; i++) {
            float w = RR(5.2f, 9.5f), d = RR(6, 8), h = RR(5.2f, 8.2f); int floors = h > 6.3f ? 3 : 2;
            if (floors == 3) h += 1.2f;
            facade((float)s * (4.85f + d / 2 + RR(0, 0.25f)), z + w / 2, s > 0 ? PI / 2 : -PI / 2, w, d, h, floors, walls[(i + (s > 0)) % 4], roofs[R() < 0.4f], frame, pane, shut[(int)(R() * 2.99f)], door, stone);
            z += w + (R() < 0.15f ? 0.7f : 0.0f);
        }
    }
    /* The church closes the street. */
    place(v(1.2f, 0, 104), 0);
    box(v(-3, 0, -3), v(3, 21, 3), walls[3], 0.5f);
    for (int i = 0; i < 4; i++) { float a = PI / 4 + PI / 2 * (float)i; tri(v(4.5f * cosf(a), 20.8f, 4.5f * sinf(a)), v(4.5f * cosf(a + PI / 2), 20.8f, 4.5f * sinf(a + PI / 2)), v(0, 36, 0), roofs[1], 0.4f); }
    box(v(-3.15f, 20.4f, -3.15f), v(3.15f, 20.9f, 3.15f), frame, 0.4f);
    for (int i = -1; i <= 1; i += 2) box(v((float)i * 1.1f - 0.5f, 16.2f, -3.06f), v((float)i * 1.1f + 0.5f, 19, -3), iron, 0.5f);
    const float face[3][2] = {{1.05f, 0}, {1.05f, 0.08f}, {0, 0.08f}};
    (void)face;
    for (int i = 0; i < 24; i++) { float a = PI * 2 * (float)i / 24, b = PI * 2 * (float)(i + 1) / 24; tri(v(0, 14, -3.06f), v(1.1f * cosf(a), 14 + 1.1f * sinf(a), -3.06f), v(1.1f * cosf(b), 14 + 1.1f * sinf(b), -3.06f), frame, 0.7f); }
    box(v(-0.05f, 14, -3.1f), v(0.05f, 14.9f, -3.07f), iron, 0.5f); box(v(-0.05f, 13.95f, -3.1f), v(0.62f, 14.05f, -3.07f), iron, 0.5f);
    /* Lamps, a hand cart, people. */
    for (int i = 0; i < 5; i++) {
        place(v(i % 2 ? 3.45f : -3.45f, 0.1f, 9 + 14.0f * (float)i), 0);
        cone(v(0, 0, 0), v(0, 0.9f, 0), 0.10f, 0.07f, 10, iron, 0.5f); cone(v(0, 0.9f, 0), v(0, 3.5f, 0), 0.05f, 0.035f, 8, iron, 0.5f);
        cone(v(0, 3.5f, 0), v(0, 3.95f, 0), 0.11f, 0.2f, 6, lamp, 0.5f); cone(v(0, 3.95f, 0), v(0, 4.2f, 0), 0.24f, 0.03f, 6, iron, 0.5f);
    }
    place(v(-2.25f, 0, 10.6f), 0.25f);
    for (int s = -1; s <= 1; s += 2) {
        for (int k = 0; k < 20; k++) { float a = PI / 10 * (float)k, b = PI / 10 * (float)(k + 1), x = (float)s * 0.62f; V p = v(x, 0.5f + 0.5f * sinf(a), 0.5f * cosf(a)), q = v(x, 0.5f + 0.5f * sinf(b), 0.5f * cosf(b)); cone(p, q, 0.032f, 0.032f, 6, wood, R()); if (k % 2) cone(v(x, 0.5f, 0), p, 0.025f, 0.02f, 5, wood, R()); }
        box(v((float)s * 0.5f - 0.03f, 0.62f, -1.0f), v((float)s * 0.5f + 0.03f, 0.95f, 0.9f), wood, R());
        cone(v((float)s * 0.45f, 0.68f, 0.9f), v((float)s * 0.4f, 0.55f, 2.1f), 0.035f, 0.03f, 6, wood, R());
    }
    for (int k = 0; k < 9; k++) box(v(-0.48f, 0.58f, -1.0f + 0.21f * (float)k), v(0.48f, 0.62f, -0.8f + 0.21f * (float)k), wood, R());
    for (int k = 0; k < 7; k++) ball(v(RR(-0.25f, 0.25f), 0.75f + 0.06f * (float)(k % 3), -0.8f + 0.25f * (float)k), v(0.24f, 0.18f, 0.2f), dress, R());
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh();
    person(v(0.9f, 0, 13.5f), 0.2f, 1.74f, skin, hair, coat, coat, hair, 0.22f);
    person(v(1.6f, 0, 13.3f), 0.15f, 1.62f, skin, hair, dress, coat, hair, -0.18f);
    cone(v(1.6f, 0.28f, 13.3f), v(1.6f, 1.05f, 13.3f), 0.34f, 0.15f, 16, dress, 0.5f);
    person(v(-3.7f, 0.13f, 24.5f), 1.2f, 1.70f, skin, hair, coat, coat, hair, 0.03f);
    person(v(0.2f, 0, 33), 2.9f, 1.25f, skin, hair, dress, coat, hair, 0.2f);
    place(v(0.9f, 0, 13.5f), 0.2f); cone(v(0, 1.70f, 0), v(0, 1.715f, 0), 0.16f, 0.16f, 16, coat, 0.5f); cone(v(0, 1.71f, 0), v(0, 1.82f, 0), 0.10f, 0.09f, 14, coat, 0.5f);
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    int tree = mesh_broadleaf(bark, leaf, 0.008f, 60, 0.30f, 0.022f);
    instance(tree, v(-5.9f, 0, 92), 13, 1, 0.5f); instance(tree, v(7.5f, 0, 97), 14, 3, 0.3f); instance(tree, v(-9, 0, 110), 16, 2, 0.6f); instance(tree, v(9, 0, 112), 15, 5, 0.6f);
    m = new_mesh(); ball(v(-60, -10, 420), v(260, 62, 120), hill, 0.5f); ball(v(180, -10, 520), v(240, 80, 120), hill, 0.5f); quad(v(-300, -0.15f, -60), v(300, -0.15f, -60), v(300, -0.15f, 500), v(-300, -0.15f, 500), hill, 0.5f);
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    world.eye = v(-0.9f, 1.62f, 0.6f); world.look = v(0.35f, 2.75f, 24); world.fov = 56;
    world.sun = norm(v(0.62f, 0.66f, -0.30f)); world.sun_light = v(4.2f, 3.9f, 3.4f);
    world.zenith = v(0.34f, 0.44f, 0.62f); world.horizon = v(0.80f, 0.84f, 0.88f); world.cloud = 0.35f; world.cloud_scale = 1.1f; world.cloud_at = v(8, 0, 3); world.cloud_dark = v(0.62f, 0.65f, 0.70f);
    world.haze = 0.0022f; world.haze_colour = v(0.72f, 0.76f, 0.80f);
}

/* ---- a lighthouse ---- */
static float cliff(float x, float z) {
    float r = sqrtf((x - 9) * (x - 9) * 0.9f + (z - 46) * (z - 46)), s = 22 + 8 * fbm(v(x * 0.06f, 2, z * 0.06f), 4) - r;
    float right = (x - 20 - (46 - z) * 0.12f) * 0.8f;
    s = fmaxf(s, right);
    float k = 8.4f * smooth(-2, 9, s) + 2.4f * smooth(8, 22, s);
    float rough = ridged(v(x * 0.16f, 1, z * 0.16f), 6) - 0.45f;
    float rocks = -1.5f + 2.9f * (ridged(v(x * 0.13f + 5, 7, z * 0.13f), 5) - 0.40f) * smooth(44, 10, r - 12);
    return fmaxf(k - 1.9f + rough * (3.6f * smooth(0, 4, s) * smooth(14, 6, s) + 0.5f), rocks + 1.0f * smooth(-14, 0, s));
}
static void lighthouse(void) {
    int rock = material(ROCK, v(0.235f, 0.20f, 0.165f), 1, 0, 0), white = material(PLASTER, v(0.80f, 0.79f, 0.75f), 0, 0, 0), red = material(PLASTER, v(0.46f, 0.055f, 0.04f), 0, 0, 0), iron = material(PLAIN, v(0.03f, 0.035f, 0.035f), 0, 0.4f, 0);
    int glass = material(GLASS, v(0.05f, 0.06f, 0.06f), 0, 0.98f, 0), roof = material(WOOD, v(0.25f, 0.10f, 0.065f), 0.7f, 0, 0), grass = material(LEAF, v(0.12f, 0.15f, 0.045f), 0.7f, 0, 0), frame = material(PLAIN, v(0.1f, 0.15f, 0.12f), 0, 0, 0);
    int m = new_mesh(); terrain(cliff, -34, 60, 4, 100, 0.22f, rock, -2.0f, 0, 0, 0, 0, 0); instance(m, v(0, 0, 0), 1, 0, 0.5f);
    float x = 9.5f, z = 45, y = 8.3f;
    m = new_mesh(); place(v(x, y, z), 0.3f);
    static const float body[][2] = {{3.1f, -2}, {3.0f, 0.5f}, {2.85f, 2.5f}, {2.62f, 6}};
    static const float band[][2] = {{2.62f, 6}, {2.40f, 9.5f}};
    static const float upper[][2] = {{2.40f, 9.5f}, {2.2f, 13}, {2.1f, 15.2f}, {2.12f, 15.6f}, {2.6f, 16}, {2.75f, 16.05f}, {2.75f, 16.3f}, {0, 16.3f}};
    static const float lantern[][2] = {{1.35f, 16.3f}, {1.35f, 17.1f}, {1.42f, 17.1f}, {1.42f, 17.2f}, {1.3f, 17.2f}};
    static const float panes[][2] = {{1.3f, 17.2f}, {1.3f, 18.8f}};
    static const float dome[][2] = {{1.6f, 18.75f}, {1.62f, 18.9f}, {1.45f, 19.3f}, {1.05f, 19.8f}, {0.5f, 20.15f}, {0.18f, 20.3f}, {0.2f, 20.55f}, {0.05f, 20.8f}, {0.02f, 22.0f}};
    lathe(v(0, 0, 0), body, 4, 48, white, 0.5f); lathe(v(0, 0, 0), band, 2, 48, red, 0.5f); lathe(v(0, 0, 0), upper, 8, 48, white, 0.5f); lathe(v(0, 0, 0), lantern, 5, 32, red, 0.5f); lathe(v(0, 0, 0), panes, 2, 12, glass, 0.5f); lathe(v(0, 0, 0), dome, 9, 32, red, 0.4f);
    for (int i = 0; i < 12; i++) { float a = PI * 2 * (float)i / 12; V c = v(cosf(a), 0, sinf(a)); cone(add(mul(c, 1.31f), v(0, 17.2f, 0)), add(mul(c, 1.31f), v(0, 18.8f, 0)), 0.045f, 0.045f, 5, iron, 0.5f); }
    for (int i = 0; i < 28; i++) {
        float a = PI * 2 * (float)i / 28, b = PI * 2 * (float)(i + 1) / 28; V c = v(2.66f * cosf(a), 0, 2.66f * sinf(a)), e = v(2.66f * cosf(b), 0, 2.66f * sinf(b));
        cone(add(c, v(0, 16.3f, 0)), add(c, v(0, 17.35f, 0)), 0.025f, 0.025f, 5, iron, 0.5f);
        for (int k = 1; k <= 3; k++) cone(add(c, v(0, 16.3f + 0.35f * (float)k, 0)), add(e, v(0, 16.3f + 0.35f * (float)k, 0)), 0.018f, 0.018f, 4, iron, 0.5f);
    }
    for (int i = 0; i < 3; i++) { float h = 3.2f + 4.3f * (float)i, r = 3.0f - 0.062f * h - 0.05f, a = -1.5708f - 0.55f; place(v(x + r * cosf(a), y, z + r * sinf(a)), -(a + 1.5708f)); box(v(-0.42f, h - 0.1f, -0.1f), v(0.42f, h + 1.35f, 0.1f), frame, 0.3f); quad(v(-0.3f, h, -0.11f), v(0.3f, h, -0.11f), v(0.3f, h + 1.2f, -0.11f), v(-0.3f, h + 1.2f, -0.11f), glass, 0.5f); box(v(-0.02f, h, -0.13f), v(0.02f, h + 1.2f, -0.1f), frame, 0.3f); }
    place(v(x + 9.2f, y - 0.4f, z + 1.5f), 0.35f);
    box(v(-4.2f, -2, -2.6f), v(4.2f, 3, 2.6f), white, 0.5f);
    for (int i = 0; i < 4; i++) { float cx = -3.1f + 2.05f * (float)i; if (i == 2) box(v(cx - 0.5f, 0, -2.66f), v(cx + 0.5f, 2.1f, -2.6f), frame, 0.6f); else window_x(cx - 0.38f, cx + 0.38f, 0.95f, 2.15f, -2.62f, frame, glass, -1); }
    for (int e = -1; e <= 1; e += 2) tri(v((float)e * 4.2f, 3, -2.6f), v((float)e * 4.2f, 3, 2.6f), v((float)e * 4.2f, 5.2f, 0), white, 0.5f);
    float s = turn_s, c = turn_c; turn_c = -s; turn_s = c; gable_roof(5.2f, 8.4f, 3, 2.25f, 0.25f, roof, 0.26f); turn_c = c; turn_s = s;
    for (int e = -1; e <= 1; e += 2) box(v((float)e * 3.3f - 0.35f, 4, -0.3f), v((float)e * 3.3f + 0.35f, 6.2f, 0.3f), white, 0.5f);
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    int tuft = mesh_tuft(40, 0.3f, 0.34f, 0.008f, 0.6f, grass, -1);
    for (int i = 0; i < 26000; i++) { float px = RR(-16, 45), pz = RR(22, 66), h = cliff(px, pz), e = cliff(px + 0.4f, pz) - h, f = cliff(px, pz + 0.4f) - h; if (h < 5.6f || e * e + f * f > 0.035f) continue; instance(tuft, v(px, h, pz), RR(0.6f, 1.4f), RR(0, 6.28f), R()); }
    world.eye = v(-7, 3.6f, -12); world.look = v(4.6f, 11.2f, 45); world.fov = 47;
    world.sun = norm(v(-0.72f, 0.52f, -0.46f)); world.sun_light = v(4.6f, 4.2f, 3.6f);
    world.zenith = v(0.10f, 0.25f, 0.60f); world.horizon = v(0.58f, 0.73f, 0.90f); world.cloud = 0.72f; world.cloud_scale = 1.5f; world.cloud_at = v(0.8f, 0, 11.2f); world.cloud_dark = v(0.50f, 0.55f, 0.63f);
    world.haze = 0.0003f; world.haze_colour = v(0.55f, 0.66f, 0.80f);
    world.water = 1; world.wave = 1.0f; world.wave_scale = 0.45f; world.water_colour = v(0.012f, 0.06f, 0.075f); world.water_absorb = v(0.5f, 0.2f, 0.16f);
}

/* ---- a cabin in the snow, after sunset ---- */
static float snow_ground(float x, float z) {
    float track = fabsf(x - 0.7f - 1.6f * sinf(z * 0.11f) + 0.03f * z);
    return 1.2f * fbm(v(x * 0.05f, 1, z * 0.05f), 3) + 0.10f * fbm(v(x * 0.5f, 2, z * 0.5f), 3) - 0.16f * smooth(0.75f, 0.2f, track) + 0.07f * fbm(v(x * 2.4f, 3, z * 2.4f), 2) * smooth(0.9f, 0.2f, track) + 0.0009f * z * z + 6 * smooth(40, 140, z);
}
static void cabin(void) {
    int snow = material(SNOW, v(0.84f, 0.86f, 0.89f), 0, 0, 0), needle = material(LEAF, v(0.030f, 0.048f, 0.028f), 0.6f, 0, 0), bark = material(PLAIN, v(0.08f, 0.06f, 0.05f), 0.5f, 0, 0);
    int log = material(WOOD, v(0.20f, 0.125f, 0.07f), 0.5f, 0, 0), logz = material(WOOD, v(0.20f, 0.125f, 0.07f), 0.5f, 0, 2), glow = material(GLOW, v(2.6f, 1.45f, 0.5f), 0, 0, 0), frame = material(WOOD, v(0.32f, 0.26f, 0.18f), 0.4f, 0, 1), stone = material(ROCK, v(0.2f, 0.19f, 0.18f), 0, 0, 0), door = material(WOOD, v(0.16f, 0.05f, 0.03f), 0.4f, 0, 1);
    world.snow = 1;
    int m = new_mesh(); terrain(snow_ground, -36, 36, -4, 64, 0.2f, snow, -100, 0, 0, 0, 0, 0); instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh(); terrain(snow_ground, -180, 180, 64, 260, 2, snow, -100, 0, 0, 0, 0, 0); instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh(); float gy = snow_ground(-3.6f, 19) - 0.1f; place(v(-3.6f, gy, 19), -0.42f);
    float w = 5.6f, d = 4.6f, h = 2.5f;
    for (int i = 0; i < 12; i++) {
        float y = 0.1f + 0.21f * (float)i, k = (i % 2) ? 0.02f : 0.0f;
        for (int s = -1; s <= 1; s += 2) {
            float z = (float)s * d / 2;
            if (s < 0 && y > 0.75f && y < 1.85f) { cone(v(-w / 2 - 0.25f, y, z), v(-1.7f, y, z), 0.115f, 0.11f, 9, log, R()); cone(v(-0.5f, y, z), v(0.55f, y, z), 0.112f, 0.11f, 9, log, R()); cone(v(1.5f, y, z), v(w / 2 + 0.25f, y, z), 0.112f, 0.115f, 9, log, R()); }
            else if (s < 0 && y < 1.95f) { cone(v(-w / 2 - 0.25f, y, z), v(0.55f, y, z), 0.115f, 0.11f, 9, log, R()); cone(v(1.5f, y, z), v(w / 2 + 0.25f, y, z), 0.112f, 0.115f, 9, log, R()); }
            else cone(v(-w / 2 - 0.25f, y + k, z), v(w / 2 + 0.25f, y + k, z), 0.115f, 0.11f, 9, log, R());
            float x = (float)s * w / 2;
            if (y > 0.75f && y < 1.75f) { cone(v(x, y + 0.1f, -d / 2 - 0.25f), v(x, y + 0.1f, -0.55f), 0.115f, 0.11f, 9, logz, R()); cone(v(x, y + 0.1f, 0.55f), v(x, y + 0.1f, d / 2 + 0.25f), 0.112f, 0.115f, 9, logz, R()); }
            else cone(v(x, y + 0.1f, -d / 2 - 0.25f), v(x, y + 0.1f, d / 2 + 0.25f), 0.115f, 0.11f, 9, logz, R());
        }
    }
    window_x(-1.65f, -0.55f, 0.80f, 1.82f, -d / 2 - 0.02f, frame, glow, -1);
    window_z(-0.5f, 0.5f, 0.85f, 1.75f, w / 2, frame, glow);
    box(v(0.58f, 0, -d / 2 - 0.02f), v(1.47f, 1.95f, -d / 2 + 0.05f), door, 0.5f);
    for (int e = -1; e <= 1; e += 2) { float x = (float)e * w / 2; tri(v(x, h, -d / 2), v(x, h, d / 2), v(x, h + 1.75f, 0), logz, 0.4f); }
    for (int e = -1; e <= 1; e += 2) {
        enum { NX = 44, NS = 14 };
        float run = d / 2 + 0.55f;
        for (int i = 0; i < NX; i++) for (int j = 0; j < NS; j++) {
            V p[4];
            for (int k = 0; k < 4; k++) { float a = (float)(i + (k == 1 || k == 2)) / NX, b = (float)(j + (k >= 2)) / NS, t = run * b, thick = 0.36f * smooth(1.03f, 0.80f, b) * smooth(-0.02f, 0.04f, a) * smooth(1.02f, 0.96f, a) + 0.05f * fbm(v(a * 9, 2, b * 4 * (float)e), 3); p[k] = v(-w / 2 - 0.5f + (w + 1) * a, h + 1.75f - t * 0.76f + fmaxf(thick, 0.02f), (float)e * t); }
            quad(p[0], p[1], p[2], p[3], snow, 0.5f);
            if (j == NS - 1) { quad(p[3], p[2], v(p[2].x, p[2].y - 0.2f, p[2].z - (float)e * 0.03f), v(p[3].x, p[3].y - 0.2f, p[3].z - (float)e * 0.03f), j % 2 ? log : snow, 0.4f); }
        }
        quad(v(-w / 2 - 0.5f, h + 1.7f, 0), v(w / 2 + 0.5f, h + 1.7f, 0), v(w / 2 + 0.5f, h + 1.7f - run * 0.76f, (float)e * run), v(-w / 2 - 0.5f, h + 1.7f - run * 0.76f, (float)e * run), log, 0.3f);
    }
    box(v(-1.9f, h + 0.6f, 0.3f), v(-1.2f, h + 2.7f, 0.95f), stone, 0.5f); box(v(-1.95f, h + 2.68f, 0.25f), v(-1.15f, h + 2.88f, 1.0f), snow, 0.5f);
    for (int i = 0; i < 46; i++) { float a = (float)(i % 9) * 0.145f, b = (float)(i / 9) * 0.14f; cone(v(w / 2 + 0.25f, 0.12f + b, -1.9f + a), v(w / 2 + 0.7f, 0.12f + b, -1.9f + a), 0.07f, 0.07f, 7, log, R()); }
    box(v(w / 2 + 0.22f, 0.78f, -2.0f), v(w / 2 + 0.75f, 0.9f, -0.68f), snow, 0.5f);
    place(v(0, 0, 0), 0);
    for (int i = 0; i < 16; i++) { float x = 3.2f + 0.75f * (float)i, z = 10.5f + 0.22f * (float)i, y = snow_ground(x, z); if (i % 3 == 0) { cone(v(x, y - 0.2f, z), v(x + 0.03f, y + 1.0f, z), 0.06f, 0.05f, 7, frame, R()); ball(v(x + 0.03f, y + 1.02f, z), v(0.10f, 0.08f, 0.10f), snow, 0.5f); if (i < 15) for (int k = 0; k < 2; k++) { float nx = x + 2.25f, nz = z + 0.66f, ny = snow_ground(nx, nz); cone(v(x, y + 0.42f + 0.4f * (float)k, z - 0.06f), v(nx, ny + 0.40f + 0.4f * (float)k, nz - 0.06f), 0.035f, 0.035f, 6, frame, R()); } } }
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    int trees[3]; for (int i = 0; i < 3; i++) trees[i] = mesh_conifer(needle, bark, RR(0.15f, 0.2f), 1);
    for (int i = 0; i < 1500; i++) { float x = RR(-110, 110), z = RR(14, 190); if (fabsf(x + 2) < 6.5f + 0.02f * z && z < 34) continue; if (z < 30 && (x > 1 && x < 9)) continue; if (R() > smooth(14, 40, z) + 0.12f) continue; instance(trees[(int)(R() * 2.99f)], v(x, snow_ground(x, z) - 0.3f, z), RR(5, 15), RR(0, 6.28f), R()); }
    instance(trees[0], v(6.8f, snow_ground(6.8f, 14) - 0.2f, 14), 6.5f, 1, 0.5f); instance(trees[1], v(-9.8f, snow_ground(-9.8f, 16) - 0.2f, 16), 11, 2, 0.5f); instance(trees[2], v(-8.2f, snow_ground(-8.2f, 24), 24), 14, 2, 0.5f);
    world.eye = v(1.9f, 1.95f, 3.2f); world.look = v(-0.6f, 2.9f, 19); world.fov = 52;
    world.sun = norm(v(0.75f, 0.06f, 0.65f)); world.sun_light = v(0.05f, 0.025f, 0.015f);
    world.zenith = v(0.030f, 0.055f, 0.14f); world.horizon = v(0.20f, 0.17f, 0.20f); world.haze = 0.0016f; world.haze_colour = v(0.085f, 0.10f, 0.16f); world.clamp = 0.8f;
}

/* ---- apples by the window ---- */
static void still(void) {
    int table = material(WOOD, v(0.25f, 0.14f, 0.07f), 0.5f, 0.22f, 0), wall = material(PLASTER, v(0.42f, 0.45f, 0.40f), 0, 0, 0), red = material(APPLE, v(0.46f, 0.035f, 0.03f), 0, 0.55f, 0), stem = material(PLAIN, v(0.10f, 0.06f, 0.03f), 0, 0, 0);
    int glaze = material(PLAIN, v(0.60f, 0.56f, 0.47f), 0, 0.8f, 0), blue = material(PLAIN, v(0.06f, 0.12f, 0.26f), 0, 0.85f, 0), cloth = material(CLOTH, v(0.32f, 0.07f, 0.06f), 0.9f, 0, 0), paper = material(PLAIN, v(0.70f, 0.66f, 0.55f), 0.1f, 0, 0), cover = material(PLAIN, v(0.10f, 0.16f, 0.10f), 0.1f, 0.3f, 0), brass = material(PLAIN, v(0.50f, 0.34f, 0.12f), 0, 0.7f, 0);
    int frame = material(PLAIN, v(0.6f, 0.6f, 0.55f), 0, 0, 0), petal = material(LEAF, v(0.70f, 0.62f, 0.50f), 0.2f, 0, 0), green = material(LEAF, v(0.08f, 0.12f, 0.04f), 0.5f, 0, 0), petal2 = material(LEAF, v(0.62f, 0.20f, 0.22f), 0.3f, 0, 0);
    int m = new_mesh();
    for (int i = 0; i < 13; i++) box(v(-1.5f, -0.04f, -1.35f + 0.15f * (float)i), v(1.5f, RR(-0.0008f, 0.0004f), -1.202f + 0.15f * (float)i), table, R());
    quad(v(-3, -1, 0.95f), v(3, -1, 0.95f), v(3, 3, 0.95f), v(-3, 3, 0.95f), wall, 0.5f);
    quad(v(1.6f, -1, -3), v(1.6f, -1, 1), v(1.6f, 3, 1), v(1.6f, 3, -3), wall, 0.5f);
    /* The wall with the window is on the left; the sun comes through it. */
    box(v(-1.75f, -1, -3), v(-1.6f, 0.28f, 1), wall, 0.5f); box(v(-1.75f, 1.75f, -3), v(-1.6f, 3, 1), wall, 0.5f); box(v(-1.75f, 0.28f, 0.42f), v(-1.6f, 1.75f, 1), wall, 0.5f); box(v(-1.75f, 0.28f, -3), v(-1.6f, 1.75f, -0.85f), wall, 0.5f);
    box(v(-1.70f, 0.28f, -0.24f), v(-1.66f, 1.75f, -0.19f), frame, 0.5f); box(v(-1.70f, 0.78f, -0.85f), v(-1.66f, 0.82f, 0.42f), frame, 0.5f); box(v(-1.70f, 1.26f, -0.85f), v(-1.66f, 1.30f, 0.42f), frame, 0.5f);
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh();
    enum { C = 90 };
    for (int i = 0; i < C; i++) for (int j = 0; j < C; j++) {
        V p[4]; for (int k = 0; k < 4; k++) { float a = (float)(i + (k == 1 || k == 2)) / C - 0.5f, b = (float)(j + (k >= 2)) / C - 0.5f; float f = ridged(v(a * 3.1f + 4, 2, b * 3.1f), 4) - 0.4f; p[k] = v(a * 0.78f, 0.003f + 0.022f * fmaxf(0, f) * smooth(0.10f, 0.36f, sqrtf(a * a + b * b)), b * 0.62f); }
        quad(p[0], p[1], p[2], p[3], cloth, 0.5f);
    }
    instance(m, v(0.03f, 0, -0.22f), 1, 0.12f, 0.5f);
    m = new_mesh();
    static const float bowl[][2] = {{0.0f, 0.012f}, {0.06f, 0.012f}, {0.062f, 0.0f}, {0.075f, 0.0f}, {0.078f, 0.014f}, {0.125f, 0.045f}, {0.158f, 0.085f}, {0.168f, 0.105f}, {0.172f, 0.108f}, {0.166f, 0.108f}, {0.150f, 0.085f}, {0.115f, 0.050f}, {0.06f, 0.024f}, {0, 0.020f}};
    static const float rim[][2] = {{0.1635f, 0.0965f}, {0.170f, 0.1045f}, {0.1738f, 0.1090f}, {0.168f, 0.1095f}};
    lathe(v(-0.10f, 0.006f, -0.20f), bowl, 14, 72, glaze, 0.5f); lathe(v(-0.10f, 0.006f, -0.20f), rim, 4, 72, blue, 0.5f);
    static const float jug[][2] = {{0, 0}, {0.066f, 0}, {0.07f, 0.008f}, {0.088f, 0.05f}, {0.097f, 0.10f}, {0.092f, 0.15f}, {0.072f, 0.195f}, {0.056f, 0.225f}, {0.055f, 0.25f}, {0.064f, 0.275f}, {0.067f, 0.278f}, {0.060f, 0.274f}, {0.050f, 0.25f}, {0.05f, 0.2f}};
    lathe(v(0.24f, 0.004f, 0.04f), jug, 14, 72, glaze, 0.5f);
    static const float stripe[][2] = {{0.0893f, 0.05f}, {0.0935f, 0.07f}}; lathe(v(0.24f, 0.004f, 0.04f), stripe, 2, 72, blue, 0.5f);
    for (int i = 0; i < 14; i++) { float a = -1.35f + 2.7f * (float)i / 14, b = -1.35f + 2.7f * (float)(i + 1) / 14; cone(v(0.24f + 0.06f + 0.075f * cosf(a), 0.165f + 0.062f * sinf(a), 0.04f), v(0.24f + 0.06f + 0.075f * cosf(b), 0.165f + 0.062f * sinf(b), 0.04f), 0.011f, 0.011f, 10, glaze, 0.5f); }
    for (int i = 0; i < 9; i++) {
        float a = RR(0, 6.28f), r = 0.10f + 0.07f * R(); V root = v(0.24f, 0.26f, 0.04f), head = v(0.24f + r * cosf(a), 0.40f + RR(-0.03f, 0.11f), 0.04f + r * sinf(a) * 0.8f), mid = v(0.24f + 0.35f * r * cosf(a), 0.34f, 0.04f + 0.35f * r * sinf(a));
        cone(root, mid, 0.003f, 0.0026f, 5, green, R()); cone(mid, head, 0.0026f, 0.002f, 5, green, R());
        int pm = i % 3 ? petal : petal2; V up = norm(add(sub(head, mid), v(-0.06f, 0.02f, -0.08f))), ax, ay; frame_of(up, &ax, &ay);
        for (int ring = 0; ring < 3; ring++) for (int k = 0; k < 13; k++) { float t = 6.2832f * ((float)k + 0.33f * (float)ring) / 13; V o = add(mul(ax, cosf(t)), mul(ay, sinf(t))), q = add(mul(ax, -sinf(t)), mul(ay, cosf(t))); float len = 0.044f - 0.009f * (float)ring; V tip = add(head, add(mul(o, len), mul(up, 0.012f * (float)ring + RR(-0.003f, 0.006f)))), mp = mix3(head, tip, 0.6f); quad(head, add(mp, mul(q, 0.007f)), tip, sub(mp, mul(q, 0.007f)), pm, R()); }
        ball(add(head, mul(up, 0.008f)), v(0.012f, 0.010f, 0.012f), brass, 0.5f);
        for (int k = 0; k < 2; k++) { V p = mix3(root, mid, 0.5f + 0.3f * (float)k); float t = RR(0, 6.28f); V o = v(cosf(t), 0.5f, sinf(t)); quad(p, add(p, add(mul(o, 0.03f), v(0.008f, 0, 0.008f))), add(p, mul(o, 0.07f)), add(p, add(mul(o, 0.03f), v(-0.008f, 0, -0.008f))), green, R()); }
    }
    place(v(-0.38f, 0, 0.12f), 0.5f); box(v(-0.11f, 0.002f, -0.075f), v(0.11f, 0.034f, 0.075f), paper, 0.5f); box(v(-0.114f, 0.0f, -0.08f), v(0.114f, 0.003f, 0.08f), cover, 0.5f); box(v(-0.114f, 0.034f, -0.08f), v(0.114f, 0.038f, 0.08f), cover, 0.5f); box(v(-0.114f, 0, -0.08f), v(-0.11f, 0.038f, 0.08f), cover, 0.5f);
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    m = new_mesh();
    static const float apple[][2] = {{0.0f, -0.026f}, {0.010f, -0.032f}, {0.020f, -0.034f}, {0.032f, -0.026f}, {0.039f, -0.008f}, {0.041f, 0.008f}, {0.038f, 0.022f}, {0.029f, 0.032f}, {0.018f, 0.034f}, {0.009f, 0.030f}, {0.003f, 0.023f}, {0, 0.021f}};
    lathe(v(0, 0, 0), apple, 12, 40, red, 0.5f); cone(v(0, 0.02f, 0), v(0.005f, 0.048f, 0.003f), 0.0014f, 0.002f, 6, stem, 0.5f);
    V at[] = {{-0.165f, 0.076f, -0.235f}, {-0.085f, 0.070f, -0.255f}, {-0.035f, 0.080f, -0.185f}, {-0.11f, 0.070f, -0.165f}, {-0.175f, 0.08f, -0.155f}, {-0.105f, 0.125f, -0.21f}, {0.145f, 0.040f, -0.30f}, {0.045f, 0.040f, -0.395f}};
    for (int i = 0; i < 8; i++) instance(m, at[i], RR(0.92f, 1.05f), RR(0, 6.28f), R());
    world.eye = v(0.02f, 0.62f, -1.62f); world.look = v(0.035f, 0.165f, -0.06f); world.fov = 34; world.aperture = 0.012f; world.focus = 1.45f;
    world.sun = norm(v(-0.80f, 0.40f, -0.16f)); world.sun_light = v(5.0f, 4.0f, 2.7f); world.sun_size = 0.015f;
    world.zenith = v(0.36f, 0.42f, 0.52f); world.horizon = v(0.42f, 0.42f, 0.40f);
}

/* ---- a path in autumn ---- */
static float park(float x, float z) {
    float mid = 1.3f * sinf(z * 0.06f), side = fabsf(x - mid);
    return 0.35f * fbm(v(x * 0.12f, 1, z * 0.12f), 3) + 0.22f * smooth(1.2f, 2.6f, side) + 0.05f * fbm(v(x * 1.4f, 2, z * 1.4f), 3) + 1.4f * smooth(5, 22, side);
}
static void autumn(void) {
    int ground = material(GROUND, v(0.13f, 0.10f, 0.04f), 0, 0, 0), bark = material(PLAIN, v(0.095f, 0.075f, 0.06f), 0.5f, 0, 0), birch = material(BIRCH, v(0.46f, 0.44f, 0.40f), 0.5f, 0, 0);
    int leaves[4] = {material(LEAF, v(0.52f, 0.26f, 0.03f), 0.5f, 0, 0), material(LEAF, v(0.42f, 0.13f, 0.03f), 0.5f, 0, 0), material(LEAF, v(0.55f, 0.40f, 0.06f), 0.5f, 0, 0), material(LEAF, v(0.20f, 0.20f, 0.05f), 0.5f, 0, 0)};
    int grass = material(LEAF, v(0.15f, 0.15f, 0.05f), 0.6f, 0, 0), skin = material(PLAIN, v(0.5f, 0.32f, 0.24f), 0, 0, 0), hair = material(PLAIN, v(0.30f, 0.19f, 0.09f), 0, 0, 0), coat = material(PLAIN, v(0.09f, 0.17f, 0.30f), 0, 0, 0), red = material(PLAIN, v(0.48f, 0.06f, 0.05f), 0, 0, 0), trousers = material(PLAIN, v(0.12f, 0.085f, 0.06f), 0, 0, 0), fur = material(PLAIN, v(0.22f, 0.12f, 0.05f), 0, 0, 0), bench = material(WOOD, v(0.22f, 0.16f, 0.10f), 0.5f, 0, 2);
    int m = new_mesh(); terrain(park, -30, 30, -3, 110, 0.2f, ground, -100, 0, 0, 0, 0, 0); instance(m, v(0, 0, 0), 1, 0, 0.5f);
    int trees[5]; for (int i = 0; i < 4; i++) trees[i] = mesh_broadleaf(i == 2 ? birch : bark, leaves[i], 0.0062f, 62, RR(0.29f, 0.34f), i == 2 ? 0.013f : 0.021f);
    for (float z = 6; z < 108; z += 6.2f) for (int s = -1; s <= 1; s += 2) { float x = 1.3f * sinf(z * 0.06f) + (float)s * RR(3.3f, 4.3f), pz = z + RR(-1, 1); instance(trees[(int)(R() * 3.4f)], v(x, park(x, pz), pz), RR(8.5f, 12), RR(0, 6.28f), R()); }
    for (int i = 0; i < 150; i++) { float x = RR(-29, 29), z = RR(12, 108); if (fabsf(x - 1.3f * sinf(z * 0.06f)) < 7) continue; instance(trees[(int)(R() * 3.99f)], v(x, park(x, z), z), RR(8, 14), RR(0, 6.28f), R()); }
    int fallen[4]; for (int k = 0; k < 4; k++) { fallen[k] = new_mesh(); for (int i = 0; i < 26; i++) { float a = RR(0, 6.28f), r = 0.55f * sqrtf(R()), s = RR(0.020f, 0.042f); V c = v(r * cosf(a), RR(0.006f, 0.03f), r * sinf(a)), p = mul(norm(v(RR(-1, 1), RR(-0.25f, 0.25f), RR(-1, 1))), s), q = mul(norm(v(p.z, RR(-0.01f, 0.01f), -p.x)), s * 0.7f); quad(sub(c, p), add(c, q), add(c, p), sub(c, q), leaves[(i + k) % 3], R()); } }
    for (int i = 0; i < 11000; i++) { float z = 1 + 60 * powf(R(), 1.6f), side = RR(-9, 9), x = 1.3f * sinf(z * 0.06f) + side; if (fabsf(side) < 1.5f && R() < 0.90f) continue; instance(fallen[(int)(R() * 3.99f)], v(x, park(x, z), z), RR(0.8f, 1.3f), RR(0, 6.28f), R()); }
    int tuft = mesh_tuft(36, 0.22f, 0.22f, 0.006f, 0.6f, grass, -1);
    for (int i = 0; i < 9000; i++) { float z = RR(1, 60), side = RR(1.55f, 10) * (R() < 0.5f ? -1 : 1), x = 1.3f * sinf(z * 0.06f) + side; if (fbm(v(x * 0.3f, 4, z * 0.3f), 3) < -0.05f) continue; instance(tuft, v(x, park(x, z), z), RR(0.6f, 1.3f), RR(0, 6.28f), R()); }
    m = new_mesh();
    person(v(0.55f, park(0.55f, 12.5f), 12.5f), 0.1f, 1.66f, skin, hair, coat, trousers, trousers, 0.2f);
    cone(v(0.55f, park(0.55f, 12.5f) + 0.62f, 12.5f), v(0.55f, park(0.55f, 12.5f) + 1.2f, 12.5f), 0.30f, 0.17f, 18, coat, 0.5f);
    person(v(1.22f, park(1.22f, 12.4f), 12.4f), 0.0f, 1.12f, skin, hair, red, trousers, trousers, -0.16f);
    float dx = -0.35f, dz = 13.6f, dy = park(dx, dz); place(v(dx, dy, dz), 0.5f);
    ball(v(0, 0.42f, 0), v(0.13f, 0.14f, 0.34f), fur, 0.5f); ball(v(0, 0.60f, 0.40f), v(0.085f, 0.09f, 0.13f), fur, 0.5f); limb(v(0, 0.46f, -0.3f), v(0.03f, 0.68f, -0.5f), 0.03f, 0.02f, fur);
    for (int i = 0; i < 4; i++) limb(v(i % 2 ? 0.07f : -0.07f, 0.38f, i < 2 ? 0.22f : -0.24f), v(i % 2 ? 0.08f : -0.08f, 0.04f, (i < 2 ? 0.22f : -0.24f) + (i % 3 ? 0.07f : -0.05f)), 0.045f, 0.03f, fur);
    place(v(-1.75f, park(-1.75f, 8.4f), 8.4f), 0.12f);
    for (int i = 0; i < 4; i++) box(v(-0.22f + 0.12f * (float)i, 0.43f, -0.85f), v(-0.12f + 0.12f * (float)i, 0.47f, 0.85f), bench, R());
    for (int i = 0; i < 3; i++) box(v(-0.30f - 0.03f * (float)i, 0.55f + 0.14f * (float)i, -0.85f), v(-0.27f - 0.03f * (float)i, 0.65f + 0.14f * (float)i, 0.85f), bench, R());
    for (int i = -1; i <= 1; i += 2) { box(v(-0.24f, 0, (float)i * 0.7f - 0.04f), v(0.22f, 0.43f, (float)i * 0.7f + 0.04f), trousers, 0.5f); box(v(-0.36f, 0.3f, (float)i * 0.7f - 0.03f), v(-0.29f, 0.96f, (float)i * 0.7f + 0.03f), trousers, 0.5f); }
    instance(m, v(0, 0, 0), 1, 0, 0.5f);
    world.eye = v(-0.15f, 1.55f, 0.4f); world.look = v(0.75f, 2.75f, 20); world.fov = 58;
    world.sun = norm(v(0.52f, 0.60f, -0.42f)); world.sun_light = v(6.0f, 5.0f, 3.6f);
    world.zenith = v(0.40f, 0.55f, 0.80f); world.horizon = v(0.95f, 0.95f, 0.90f); world.cloud = 0.3f; world.cloud_dark = v(0.7f, 0.72f, 0.74f);
    world.haze = 0.0022f; world.haze_colour = v(0.62f, 0.60f, 0.52f);
}

#define MORE_SCENES {"street", street}, {"lighthouse", lighthouse}, {"cabin", cabin}, {"still", still}, {"autumn", autumn}
