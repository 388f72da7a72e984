/* The files in a model's folder that its tokenizer is made from, and those beside them that say something of it. */
#pragma once

#define FILE_NAME_TOKENIZER        "tokenizer.json"
#define FILE_NAME_TOKENIZER_CONFIG "tokenizer_config.json"
#define FILE_NAME_SPECIAL_TOKENS   "special_tokens_map.json"
#define FILE_NAME_ADDED_TOKENS     "added_tokens.json"
#define FILE_NAME_MODEL_CONFIG     "config.json"
#define FILE_NAME_VOCABULARY       "vocab.json"
#define FILE_NAME_MERGES           "merges.txt"

/* A model of SentencePiece, whose name goes by the class that reads it. */
#define FILE_NAME_SENTENCE_PIECE     "tokenizer.model"
#define FILE_NAME_SENTENCE_PIECE_BPE "sentencepiece.bpe.model"
#define FILE_NAME_SPIECE             "spiece.model"
