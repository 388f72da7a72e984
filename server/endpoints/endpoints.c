#include "server/endpoints/endpoints.h"

#include <assert.h>

#include "server/service/http_stats.h"

/* method, path, flags, handler, label, summary. An alias stands behind its route: paths that other servers have. What
 * a route takes and answers is described by its row among the operations of server/reference/openapi.c. */
static const struct route routes[] = {
    {"POST", "/v1/completions", ROUTE_CLIENT, endpoint_completions, NULL, "Texts that go on from prompts"},
    {"POST", "/completions", ROUTE_CLIENT | ROUTE_ALIAS, endpoint_completions, NULL, NULL},
    {"POST", "/infill", ROUTE_CLIENT, endpoint_infill, NULL, "A text between two others"},
    {"POST", "/v1/infill", ROUTE_CLIENT | ROUTE_ALIAS, endpoint_infill, NULL, NULL},
    {"POST", "/v1/chat/completions", ROUTE_CLIENT, endpoint_chat, NULL, "Answers to conversations"},
    {"POST", "/chat/completions", ROUTE_CLIENT | ROUTE_ALIAS, endpoint_chat, NULL, NULL},
    {"POST", "/v1/embeddings", ROUTE_CLIENT, endpoint_embeddings, NULL, "Embeddings of texts"},
    {"POST", "/embeddings", ROUTE_CLIENT | ROUTE_ALIAS, endpoint_embeddings, NULL, NULL},
    {"POST", "/score", ROUTE_CLIENT, endpoint_score, NULL, "Log probabilities of continuations of prompts"},
    {"POST", "/v1/score", ROUTE_CLIENT | ROUTE_ALIAS, endpoint_score, NULL, NULL},
    {"POST", "/apply-template", 0, endpoint_apply_template, NULL, "A conversation as the model is given it"},
    {"POST", "/v1/apply-template", ROUTE_ALIAS, endpoint_apply_template, NULL, NULL},
    {"GET", "/v1/models", 0, endpoint_models, NULL, "The model that is served, as a list"},
    {"GET", "/models", ROUTE_ALIAS, endpoint_models, NULL, NULL},
    {"GET", "/v1/models/", ROUTE_PREFIX, endpoint_model, "/v1/models/{id}", "The model that is served"},
    {"GET", "/models/", ROUTE_PREFIX | ROUTE_ALIAS, endpoint_model, NULL, NULL},
    {"POST", "/tokenize", 0, endpoint_tokenize, NULL, "Ids of a text or of a conversation"},
    {"POST", "/v1/tokenize", ROUTE_ALIAS, endpoint_tokenize, NULL, NULL},
    {"POST", "/detokenize", 0, endpoint_detokenize, NULL, "The text of ids"},
    {"POST", "/v1/detokenize", ROUTE_ALIAS, endpoint_detokenize, NULL, NULL},
    {"GET", "/tokenizer_info", 0, endpoint_tokenizer_info, NULL, "Special tokens, size of the vocabulary"},
    {"GET", "/openapi.json", ROUTE_ALWAYS, endpoint_openapi, NULL, "This description of the API"},
    {"GET", "/", ROUTE_OPEN | ROUTE_ALWAYS, endpoint_page, NULL, "The page for people who look"},
    {"GET", "/health", ROUTE_OPEN | ROUTE_ALWAYS, endpoint_health, NULL, "Whether the process can work"},
    {"GET", "/v1/health", ROUTE_OPEN | ROUTE_ALWAYS | ROUTE_ALIAS, endpoint_health, NULL, NULL},
    {"GET", "/ping", ROUTE_OPEN | ROUTE_ALWAYS | ROUTE_ALIAS, endpoint_health, NULL, NULL},
    {"GET", "/ready", ROUTE_OPEN | ROUTE_ALWAYS, endpoint_ready, NULL, "Whether requests are taken"},
    {"GET", "/v1/ready", ROUTE_OPEN | ROUTE_ALWAYS | ROUTE_ALIAS, endpoint_ready, NULL, NULL},
    {"GET", "/metrics", ROUTE_METRICS | ROUTE_ALWAYS, endpoint_metrics, NULL, "Figures for Prometheus"},
    {"GET", "/v1/metrics", ROUTE_METRICS | ROUTE_ALWAYS | ROUTE_ALIAS, endpoint_metrics, NULL, NULL},
    {"GET", "/version", ROUTE_ALWAYS, endpoint_version, NULL, "What runs here, and its limits"},
    {"GET", "/v1/version", ROUTE_ALWAYS | ROUTE_ALIAS, endpoint_version, NULL, NULL},
};

#define COMPLETE_INSTEAD "POST /v1/completions goes on from a prompt."
#define CHAT_INSTEAD     "POST /v1/chat/completions answers messages."
#define MODELS_INSTEAD   "GET /v1/models says which model is served."
#define VERSION_INSTEAD  "GET /version says what runs here, GET /v1/models which model is served."
#define METRICS_INSTEAD  "GET /metrics has the figures."
#define READY_INSTEAD    "GET /health says that the server works, GET /ready that it takes requests."
#define ONE_MODEL        "One model is served, chosen when the server is started: --model, --lora."
#define EMBED_INSTEAD    "POST /v1/embeddings makes embeddings of texts."
#define COMPARE_INSTEAD  "POST /v1/embeddings and POST /score have what texts can be compared by."
#define TEXTS_ALONE      "This server generates texts."
#define PAGE_INSTEAD     "GET /openapi.json describes the API, GET / is a page to try it."
#define BELOW_INSTEAD    "The API is below: POST /v1/completions, POST /v1/chat/completions, GET /v1/models."

/* The first that fits counts. */
static const struct route_hint hints[] = {
    {"/v1/v1/*", "The path has /v1 twice: the client's base address must end before it, or with one."},
    {"/v1/chat/completions/*", CHAT_INSTEAD},
    {"/v1/completions/*", COMPLETE_INSTEAD},
    {"/v1/engines/*", COMPLETE_INSTEAD},
    {"/v1/engines", MODELS_INSTEAD},
    {"/v1/responses*", CHAT_INSTEAD},
    {"/responses*", CHAT_INSTEAD},
    {"/v1/messages*", CHAT_INSTEAD},
    {"/v1/complete", COMPLETE_INSTEAD},
    {"/v1/assistants*", CHAT_INSTEAD},
    {"/v1/threads*", CHAT_INSTEAD},
    {"/v1/conversations*", CHAT_INSTEAD},
    {"/embedding", EMBED_INSTEAD},
    {"/embed*", EMBED_INSTEAD},
    {"/encode", EMBED_INSTEAD},
    {"/api/embed*", EMBED_INSTEAD},
    {"/pooling", EMBED_INSTEAD},
    {"/classify", COMPARE_INSTEAD},
    {"/v1/rerank*", COMPARE_INSTEAD},
    {"/v2/rerank*", COMPARE_INSTEAD},
    {"/rerank*", COMPARE_INSTEAD},
    {"/v1/images*", TEXTS_ALONE},
    {"/v1/audio*", TEXTS_ALONE},
    {"/v1/moderations", TEXTS_ALONE},
    {"/v1/realtime*", CHAT_INSTEAD},
    {"/v1/batches*", "POST /v1/completions takes several prompts at once."},
    {"/v1/files*", "Nothing is stored here; requests have their prompts with them."},
    {"/v1/fine*", "Models are served here and not trained."},
    {"/v1/load_lora_adapter", ONE_MODEL},
    {"/v1/unload_lora_adapter", ONE_MODEL},
    {"/load_lora_adapter", ONE_MODEL},
    {"/lora-adapters", ONE_MODEL},
    {"/completion", COMPLETE_INSTEAD},
    {"/complete", COMPLETE_INSTEAD},
    {"/generate*", COMPLETE_INSTEAD},
    {"/invocations", COMPLETE_INSTEAD},
    {"/api/generate", COMPLETE_INSTEAD},
    {"/api/v1/generate", COMPLETE_INSTEAD},
    {"/api/chat", CHAT_INSTEAD},
    {"/chat", CHAT_INSTEAD},
    {"/chat_tokenize", "POST /tokenize takes messages."},
    {"/api/tags", MODELS_INSTEAD},
    {"/api/show", MODELS_INSTEAD},
    {"/api/ps", MODELS_INSTEAD},
    {"/api/pull", ONE_MODEL},
    {"/api/version", VERSION_INSTEAD},
    {"/api*", "The API here is OpenAI's: POST /v1/completions, POST /v1/chat/completions, GET /v1/models."},
    {"/props", VERSION_INSTEAD},
    {"/info", VERSION_INSTEAD},
    {"/get_model_info", VERSION_INSTEAD},
    {"/model_info", VERSION_INSTEAD},
    {"/get_server_info", VERSION_INSTEAD},
    {"/server_info", VERSION_INSTEAD},
    {"/slots*", METRICS_INSTEAD},
    {"/load", METRICS_INSTEAD},
    {"/get_load", METRICS_INSTEAD},
    {"/stats*", METRICS_INSTEAD},
    {"/healthz", READY_INSTEAD},
    {"/livez", READY_INSTEAD},
    {"/readyz", READY_INSTEAD},
    {"/health_generate", READY_INSTEAD},
    {"/is_sleeping", READY_INSTEAD},
    {"//*", "The path has a slash too many: the client's base address must not end with one."},
    {"/docs*", PAGE_INSTEAD},
    {"/redoc*", PAGE_INSTEAD},
    {"/swagger*", PAGE_INSTEAD},
    {"/playground*", PAGE_INSTEAD},
    {"/ui*", PAGE_INSTEAD},
    {"/index.html", PAGE_INSTEAD},
    {"/openapi*", PAGE_INSTEAD},
    {"/v1", BELOW_INSTEAD},
    {"/v1/", BELOW_INSTEAD},
};

static_assert(sizeof routes / sizeof *routes < HTTP_STATS_ROUTES_MAX,
              "each route is counted, and requests without one");

const struct route_table endpoints = {routes, sizeof routes / sizeof *routes, hints,
                                      sizeof hints / sizeof *hints};
