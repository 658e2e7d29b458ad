-- Logins: a password hash each.

local scenario = require "scenario"

scenario.run("login", function(shop, user)
  local body = string.format('{"email":"%s","password":"%s"}', user.email, shop.password)
  return scenario.request("POST", "/auth/login", body)
end, { ["200"] = true }, "200")
