/* Reads the safetensors format (https://github.com/huggingface/safetensors): 8 bytes of header length, a JSON
 * header, and one data section that the tensors cover without gap or overlap. */
#pragma once

#include <jansson.h>

#include "engine/files/mapped_file.h"
#include "engine/checkpoint/tensor_list.h"

/* As in the format's own library. */
#define SAFETENSORS_HEADER_BYTES_MAX 100000000

/* JSON values in one header: an entry has about 8, so this is some 130,000 tensors a file. */
#define SAFETENSORS_VALUES_MAX (1u << 20)

/* Appends every tensor of the file to list, and again under the names that its metadata say were left out because
 * they share a tensor's memory; their data point into the mapping and their file is the file's
 * name, so the file must outlive them. Every claim of the header is checked against the file first. On
 * failure the list may hold some of the tensors. */
enum status safetensors_read(const struct mapped_file *file, struct tensor_list *list, struct error *e);

/* The same, and what the file says of itself: *metadata is an object of strings, the caller's to free
 * (json_decref), or NULL where the file has none. */
enum status safetensors_read_with_metadata(const struct mapped_file *file, struct tensor_list *list,
                                           json_t **metadata, struct error *e);
