-- The first page of the catalogue, again and again, as visitors see it.

local scenario = require "scenario"

scenario.run("list", function()
  return scenario.request("GET", "/products?page=1&page_size=20")
end, { ["200"] = true }, "200")
