/* The endpoints whose bodies have fields, as bits: the tables of fields say with them where each is known. */
#pragma once

enum api_endpoint {
    API_COMPLETIONS = 1,     /* POST /v1/completions */
    API_CHAT = 2,            /* POST /v1/chat/completions */
    API_INFILL = 4,          /* POST /infill */
    API_TOKENIZE = 8,        /* POST /tokenize */
    API_DETOKENIZE = 16,     /* POST /detokenize */
    API_APPLY_TEMPLATE = 32, /* POST /apply-template */
    API_EMBEDDINGS = 64,     /* POST /v1/embeddings */
    API_SCORE = 128          /* POST /score */
};

/* Those that generate text. */
#define API_ANY_TEXT (API_COMPLETIONS | API_CHAT | API_INFILL)
