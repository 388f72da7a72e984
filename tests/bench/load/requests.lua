-- Completions of random ids. Arguments, as Workload.arguments() of workloads.py gives them: lengths of prompts, of answers,
-- tokens at the beginning that prompts share, how many such beginnings, 1 for streams, first and last id, seed.
dofile("common.lua")

local function numbers(text)
    local found = {}
    for number in text:gmatch("%d+") do table.insert(found, tonumber(number)) end
    return found
end

local prompts, lengths, shared, prefixes, tail, first, last
local headers = { ["Content-Type"] = "application/json" }

local function one_of(list) return list[math.random(#list)] end

local function ids(count)
    local list = {}
    for i = 1, count do list[i] = math.random(first, last) end
    return list
end

function init(args)
    prompts, lengths, shared = numbers(args[1]), numbers(args[2]), tonumber(args[3])
    first, last = tonumber(args[6]), tonumber(args[7])
    tail = ',"temperature":0,"ignore_eos":true'
    if args[5] == "1" then
        tail = tail .. ',"stream":true,"stream_options":{"include_usage":true}'
        headers["Connection"] = "close"
    end
    tail = tail .. "}"
    math.randomseed(0) -- beginnings are the same in every run
    prefixes = {}
    for i = 1, tonumber(args[4]) do prefixes[i] = table.concat(ids(shared), ",") end
    math.randomseed(tonumber(args[8]) * 100 + number)
end

function request()
    local own = table.concat(ids(one_of(prompts) - shared), ",")
    local prompt = shared > 0 and one_of(prefixes) .. "," .. own or own
    local body = '{"prompt":[' .. prompt .. '],"max_tokens":' .. one_of(lengths) .. tail
    return wrk.format("POST", "/v1/completions", headers, body)
end
