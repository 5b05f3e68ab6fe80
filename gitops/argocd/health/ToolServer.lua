-- Health of a ToolServer for Argo CD. Healthy is a server whose tools are known and accepted.
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The controller has not seen this version yet" }
end
local ready = false
local reconciling = false
local message = ""
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    return { status = "Degraded", message = condition.message }
  end
  if condition.type == "Reconciling" and condition.status == "True" then
    reconciling = true
  end
  if condition.type == "Ready" then
    ready = condition.status == "True"
    message = condition.message
  end
end
if ready and not reconciling then
  return { status = "Healthy", message = message }
end
return { status = "Progressing", message = message }
