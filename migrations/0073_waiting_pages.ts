/**
 * What the pages of an incident decide is found without the overtaken ones, of which an incident that
 * reaches no one gets one in five minutes for each way: those that may still be sent (all of them are
 * read at a start only), and those that were accepted or failed.
 */
export const sql = /* sql */ `
drop index pages_open;
create index pages_waiting on pages (incidentId) where endedAt is null;
create index pages_answered on pages (incidentId, outcome, userId, channel) where outcome in ('delivered', 'failed');
`;
