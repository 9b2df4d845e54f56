#define MORE_SCENES {"lake2", lake}
