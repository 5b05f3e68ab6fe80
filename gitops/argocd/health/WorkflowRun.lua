-- Health of a WorkflowRun for Argo CD. Sync waves and hooks wait for it: healthy is a run that succeeded, and nothing else.
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The controller has not seen this version yet" }
end
local message = ""
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Completed" then
    message = condition.message
  end
end
if status.phase == "Succeeded" then
  return { status = "Healthy", message = message }
end
if status.phase == "Failed" or status.phase == "Cancelled" then
  return { status = "Degraded", message = message }
end
local progress = "The run is under way"
if status.progress ~= nil then
  progress = status.progress .. " nodes have ended"
end
if status.phase == "Suspended" then
  return { status = "Suspended", message = progress .. "; suspended" }
end
return { status = "Progressing", message = progress }
