-- Health of a Workflow for Argo CD. A definition is healthy when the controller has seen this version and it can run.
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The controller has not seen this version yet" }
end
local message = ""
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and condition.status == "True" then
    return { status = "Degraded", message = condition.message }
  end
  if condition.type == "Ready" then
    message = condition.message
  end
end
if status.phase ~= "Ready" then
  return { status = "Progressing", message = message }
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "The workflow takes no new runs (spec.suspend)" }
end
return { status = "Healthy", message = message }
