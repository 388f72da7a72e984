/* A short text to verify with when none is given: prose, dialogue, numbers, code and a few scripts. */
#pragma once

extern const char verify_sample_text[];
