#include "engine/base/memory.h"
#include "engine/engine.h"
#include "engine/load/json_file.h"
#include "engine/load/mapped_file.h"

void engine_process_init(void) {
    memory_process_init();
    mapped_file_install_handler();
    json_file_process_init();
}
