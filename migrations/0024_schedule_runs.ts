/** The runs of a schedule, finished or not, and the reports of its skipped runs, newest first. */
export const sql = /* sql */ `
create index jobs_runs_of_schedule on jobs (scheduleId, seq) where scheduleId is not null;
create index jobs_skipped_runs on jobs (payload ->> '$.scheduleId', seq) where kind = 'schedule.skipped';
`;
