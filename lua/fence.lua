#!lua
-- fence: never called. That it is loaded says that a rebuild has compared the ledger of this event and epoch with the database.
--
-- Each version of the service has texts of its own for reserve and adopt; this text is the same in all of them, and must stay so.
-- A worker whose own scripts are missing where this one is loaded may load them without another rebuild: what is loaded for an
-- epoch is on the same servers as before.
return 1
