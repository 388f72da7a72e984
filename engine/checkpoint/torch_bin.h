/* Reads what torch.save makes of a state dict (torch 1.6 and later): a ZIP archive with one pickle that
 * describes the tensors and one stored entry for the bytes of each storage. Nothing in it is executed. */
#pragma once

#include "engine/files/mapped_file.h"
#include "engine/checkpoint/tensor_list.h"

/* Appends every tensor of the file to list: views, maybe strided, maybe several into one storage, whose
 * bounds have been checked. The file must outlive them. STATUS_UNSUPPORTED, with advice, for whatever is no
 * plain state dict. On failure the list may hold some of the tensors. */
enum status torch_bin_read(const struct mapped_file *file, struct tensor_list *list, struct error *e);
