-- Presses of buy in a running sale. Sold out and already bought are answers that a sale has to give; 429 and 503 are not.

local scenario = require "scenario"

scenario.run("spike", function(shop, user)
  return scenario.request("POST", "/spike/events/" .. shop.event .. "/orders", nil, user.token)
end, { ["202"] = true, ["409 sold-out"] = true, ["409 already-bought"] = true }, "202")
