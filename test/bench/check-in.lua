-- Sends check-ins of random agents, or of one after the other; the file names one agent a line: token, tab, body.
local requests = {}
local inTurn = false
local last = 0
local seed = os.time()

function init(args)
  local headers = { ["Content-Type"] = "application/json" }
  for line in io.lines(args[1]) do
    local token, body = line:match("^(.-)\t(.*)$")
    headers["Authorization"] = "Bearer " .. token
    requests[#requests + 1] = wrk.format("POST", "/agent/v1/check-in", headers, body)
  end
  inTurn = args[2] == "in-turn"
  math.randomseed(seed)
end

function request()
  if not inTurn then return requests[math.random(#requests)] end
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  io.write(string.format(
    'RESULT {"requests":%d,"microseconds":%d,"p50Us":%d,"p99Us":%d,"not2xx":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  ))
end
