#include "engine/engine.h"
#include "engine/load/mapped_file.h"

void engine_process_init(void) {
    mapped_file_install_handler();
}
