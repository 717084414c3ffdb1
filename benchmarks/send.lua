-- wrk sends the requests in a file in order, each once.
local requests, n, at = {}, 0, 0

function init(args)
  local file = io.open(args[1], "rb")
  local all = file:read("*a")
  file:close()
  for request in all:gmatch("[^%z]+") do
    n = n + 1
    requests[n] = request
  end
end

function request()
  at = at + 1
  return requests[at] or error("the file has too few requests")
end

function done(summary)
  local wrong = summary.errors.status + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %d %f %d\n", summary.requests, summary.duration / 1e6, wrong))
end
