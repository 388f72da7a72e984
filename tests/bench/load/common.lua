-- For wrk: counts answers by status and the tokens of completions, and prints all that was measured as one line of JSON.
-- wrk runs a copy of these globals in each of its threads; they are gathered in done().
local threads = {}

function setup(thread)
    thread:set("number", #threads)
    table.insert(threads, thread)
end

answers, refused, failed, tokens, owed = 0, 0, 0, 0, 0

-- Who is refused comes again after a while, as Retry-After asks: owed counts such pauses.
function response(status, headers, body)
    if status == 200 then
        answers = answers + 1
        tokens = tokens + (tonumber(body:match('"completion_tokens": ?(%d+)')) or 0)
    elseif status == 429 or status == 503 then
        refused = refused + 1
        owed = owed + 1
    else
        failed = failed + 1
    end
end

local PAUSE_MS = 1000

function delay()
    if owed == 0 then return 0 end
    owed = owed - 1
    return PAUSE_MS
end

local function sum(name)
    local total = 0
    for _, thread in ipairs(threads) do total = total + (thread:get(name) or 0) end
    return total
end

function done(summary, latency, requests)
    local histogram = {}
    for i = 1, #latency do
        local microseconds, count = latency(i)
        table.insert(histogram, string.format("[%d,%d]", microseconds, count))
    end
    local errors = summary.errors
    print(string.format(
        '{"seconds":%.6f,"answers":%d,"refused":%d,"failed":%d,"tokens":%d,"unanswered":%d,"microseconds":[%s]}',
        summary.duration / 1e6, sum("answers"), sum("refused"), sum("failed"), sum("tokens"),
        errors.connect + errors.read + errors.write + errors.timeout, table.concat(histogram, ",")))
end
