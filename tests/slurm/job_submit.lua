-- Refuses every job while a file says why: the limits on the number of a user's jobs stand in an
-- accounting database, which this SLURM lacks.
function slurm_job_submit(job, partitions, user)
  local file = io.open("{base}/etc/refusal")
  if file == nil then
    return slurm.SUCCESS
  end
  slurm.log_user(file:read("*l"))
  file:close()
  return 2050  -- ESLURM_ACCOUNTING_POLICY
end

function slurm_job_modify(job, record, partitions, user)
  return slurm.SUCCESS
end
