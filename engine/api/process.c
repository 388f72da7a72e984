#include "engine/base/memory.h"
#include "engine/blas/blas.h"
#include "engine/api/engine.h"
#include "engine/files/json_file.h"
#include "engine/files/mapped_file.h"

void engine_process_init(void) {
    memory_process_init();
    blas_process_init();
    mapped_file_install_handler();
    json_file_process_init();
}
