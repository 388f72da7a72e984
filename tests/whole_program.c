/* Links all stages whole (see CMakeLists.txt); that it links is the test. */
int main(void) {
    return 0;
}
