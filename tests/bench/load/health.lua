-- GET /health, as fast as answers come.
dofile("common.lua")
