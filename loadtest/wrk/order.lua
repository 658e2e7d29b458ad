-- Ordinary orders of one unit: a transaction each. There is stock for all.

local scenario = require "scenario"

scenario.run("order", function(shop, user, at)
  local product = shop.products[at % #shop.products + 1]
  local body = string.format('{"items":[{"product_id":%s,"quantity":1}]}', product)
  return scenario.request("POST", "/orders", body, user.token, shop.nonce .. "-" .. at)
end, { ["201"] = true }, "201")
