/* What the linker made of every program of the build, and of an installed one: read from the ELF files. No
 * program looks for libraries in a folder that anybody may write to, and what cmake/hardening.cmake asks for
 * is in them. */
#include <elf.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tests/support/test_support.h"

struct elf {
    const char *path;
    char *bytes;
    size_t size;
    const Elf64_Ehdr *head;
};

/* [offset, +count * size) of the file; the tests fail where it is beyond its end. */
static const void *part(const struct elf *f, size_t offset, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || offset > f->size || bytes > f->size - offset)
        fail_msg("%s: is cut short", f->path);
    return f->bytes + offset;
}

static bool elf_open(struct elf *f, const char *path) {
    struct stat info;
    *f = (struct elf){.path = path};
    if (stat(path, &info) != 0) return false; /* not built, this time */
    f->bytes = test_file_read("/", path + 1, &f->size);
    f->head = part(f, 0, 1, sizeof *f->head);
    assert_memory_equal(f->head->e_ident, ELFMAG, SELFMAG);
    assert_int_equal(f->head->e_ident[EI_CLASS], ELFCLASS64);
    return true;
}

static const Elf64_Phdr *find_segment(const struct elf *f, uint32_t type) {
    const Elf64_Phdr *segments = part(f, f->head->e_phoff, f->head->e_phnum, sizeof *segments);
    for (size_t i = 0; i < f->head->e_phnum; i++)
        if (segments[i].p_type == type) return &segments[i];
    return NULL;
}

static const Elf64_Shdr *sections(const struct elf *f) {
    return part(f, f->head->e_shoff, f->head->e_shnum, sizeof(Elf64_Shdr));
}

static const Elf64_Shdr *find_section(const struct elf *f, uint32_t type) {
    const Elf64_Shdr *all = sections(f);
    for (size_t i = 0; i < f->head->e_shnum; i++)
        if (all[i].sh_type == type) return &all[i];
    return NULL;
}

/* Text at an offset of the string table that belongs to a section. */
static const char *text_of(const struct elf *f, const Elf64_Shdr *section, size_t offset) {
    const Elf64_Shdr *texts = &sections(f)[section->sh_link];
    assert_true(offset < texts->sh_size);
    return part(f, texts->sh_offset + offset, 1, 1);
}

/* Entries of the dynamic section with the tag, at most `room`; their number. */
static size_t dynamic(const struct elf *f, int64_t tag, uint64_t *values, size_t room) {
    const Elf64_Shdr *section = find_section(f, SHT_DYNAMIC);
    size_t found = 0;
    assert_non_null(section);
    const Elf64_Dyn *entries = part(f, section->sh_offset, section->sh_size, 1);
    for (size_t i = 0; i < section->sh_size / sizeof *entries && entries[i].d_tag != DT_NULL; i++)
        if (entries[i].d_tag == tag && found < room) values[found++] = entries[i].d_un.d_val;
    return found;
}

static const char *dynamic_text(const struct elf *f, uint64_t offset) {
    return text_of(f, find_section(f, SHT_DYNAMIC), offset);
}

/* A symbol by its name; NULL where there is none. */
static const Elf64_Sym *find_symbol(const struct elf *f, uint32_t table, const char *name) {
    const Elf64_Shdr *section = find_section(f, table);
    if (!section) return NULL;
    const Elf64_Sym *symbols = part(f, section->sh_offset, section->sh_size, 1);
    for (size_t i = 0; i < section->sh_size / sizeof *symbols; i++)
        if (strcmp(text_of(f, section, symbols[i].st_name), name) == 0) return &symbols[i];
    return NULL;
}

/* ---- checks -------------------------------------------------------------------------------------------- */

/* An empty or relative part is the folder that the program is started in. */
static void check_paths(const struct elf *f) {
    static const int64_t tags[] = {DT_RPATH, DT_RUNPATH};
    uint64_t value;
    for (size_t i = 0; i < 2; i++) {
        if (!dynamic(f, tags[i], &value, 1)) continue;
        const char *list = dynamic_text(f, value);
        if (!PRENORM_INSTALL_RPATH[0]) fail_msg("%s: looks for libraries in '%s'", f->path, list);
        for (const char *at = list;; at += strcspn(at, ":") + 1) {
            if (*at != '/' && strncmp(at, "$ORIGIN", 7) != 0)
                fail_msg("%s: looks for libraries in the working folder: '%s'", f->path, list);
            if (!at[strcspn(at, ":")]) break;
        }
    }
}

static void check_place(const struct elf *f) {
    uint64_t flags = 0;
    if (f->head->e_type != ET_DYN || !dynamic(f, DT_FLAGS_1, &flags, 1) || !(flags & DF_1_PIE))
        fail_msg("%s: is not position-independent", f->path);
    if (!(flags & DF_1_NOW)) fail_msg("%s: binds its functions late", f->path);
    if (!find_segment(f, PT_GNU_RELRO)) fail_msg("%s: has no read-only relocations", f->path);
}

static void check_rights(const struct elf *f) {
    const Elf64_Phdr *stack = find_segment(f, PT_GNU_STACK);
    const Elf64_Phdr *segments = part(f, f->head->e_phoff, f->head->e_phnum, sizeof *segments);
    if (!stack || (stack->p_flags & PF_X)) fail_msg("%s: its stack is code", f->path);
    for (size_t i = 0; i < f->head->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_W) && (segments[i].p_flags & PF_X))
            fail_msg("%s: can write to its code", f->path);
}

/* main begins with what an indirect call may aim at. (The linker keeps the mark of the whole program only
 * where the system's own start files have it too.) */
static void check_control_flow(const struct elf *f) {
#if defined __x86_64__
    static const unsigned char landings[][4] = {{0xf3, 0x0f, 0x1e, 0xfa}}; /* endbr64 */
#elif defined __aarch64__
    static const unsigned char landings[][4] = {{0x3f, 0x23, 0x03, 0xd5}, {0x5f, 0x24, 0x03, 0xd5}};
#else
    static const unsigned char landings[1][4];
    return;
#endif
    const Elf64_Sym *symbol = find_symbol(f, SHT_SYMTAB, "main");
    if (!symbol) return; /* stripped */
    const Elf64_Shdr *section = &sections(f)[symbol->st_shndx];
    const void *code = part(f, section->sh_offset + symbol->st_value - section->sh_addr, 4, 1);
    bool found = false;
    for (size_t i = 0; i < sizeof landings / sizeof *landings; i++)
        found |= memcmp(code, landings[i], 4) == 0;
    if (!found) fail_msg("%s: is not compiled with control-flow protection", f->path);
}

static void check_imports(const struct elf *f) {
    static const char *const functions[] = {"__stack_chk_fail", "__snprintf_chk", "__vsnprintf_chk",
                                            "__memcpy_chk"};
    size_t count = PRENORM_FORTIFIED ? 4 : PRENORM_STACK_GUARDED ? 1 : 0;
    for (size_t i = 0; i < count; i++)
        if (!find_symbol(f, SHT_DYNSYM, functions[i])) fail_msg("%s: does not use %s", f->path, functions[i]);
}

/* It starts threads and allocates as it is loaded: only who asks for it loads it. */
static void check_libraries(const struct elf *f) {
    uint64_t values[64];
    size_t count = dynamic(f, DT_NEEDED, values, 64);
    assert_in_range(count, 1, 63);
    for (size_t i = 0; i < count; i++)
        if (strstr(dynamic_text(f, values[i]), "blas"))
            fail_msg("%s: is linked with %s", f->path, dynamic_text(f, values[i]));
}

static void check_any(const struct elf *f) {
    check_paths(f);
    check_place(f);
    check_rights(f);
    check_control_flow(f);
    check_libraries(f);
}

static void test_every_program_of_the_build(void **state) {
    (void)state;
    char *list = test_file_read(PRENORM_BINARY_DIR, "generated/programs.txt", NULL), *rest = list;
    size_t checked = 0;
    bool daemon = false;
    for (char *path; (path = strsep(&rest, "\n"));) {
        struct elf f;
        if (!*path || !elf_open(&f, path)) continue;
        check_any(&f);
        if (strcmp(path, PRENORMD) == 0) {
            check_imports(&f);
            daemon = true;
        }
        free(f.bytes);
        checked++;
    }
    assert_true(daemon);
    assert_true(checked >= 2); /* and this test at least */
    free(list);
}

static void test_an_installed_program(void **state) {
    (void)state;
    char *folder = test_folder_create(), line[4000], path[1200];
    for (int stripped = 0; stripped < 2; stripped++) {
        struct elf f;
        snprintf(line, sizeof line, "'%s' --install '%s' --prefix '%s' %s >/dev/null", CMAKE,
                 PRENORM_BINARY_DIR, folder, stripped ? "--strip" : "");
        assert_int_equal(system(line), 0);
        snprintf(path, sizeof path, "%s/bin/prenormd", folder);
        assert_true(elf_open(&f, path));
        check_any(&f);
        check_imports(&f);
        free(f.bytes);
    }
    test_folder_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_program_of_the_build),
        cmocka_unit_test(test_an_installed_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
