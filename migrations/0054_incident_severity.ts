/**
 * What the list of incidents is sorted by: the highest severity of their alerts, the start of the earliest one, and
 * whether they wait for people. The index has the unresolved ones in that order; it replaces that of the open ones.
 */
export const sql = /* sql */ `
alter table incidents add column severity text check (severity in ('critical', 'error', 'warning', 'info'));
alter table incidents add column firingSince integer not null default 0;
alter table incidents add column forPeople integer not null default 1 check (forPeople in (0, 1));

update incidents set firingSince = coalesce(
  (select min(a.startsAt) from incident_alerts m join alerts a on a.id = m.alertId where m.incidentId = incidents.id), openedAt);
update incidents set severity = (
  select case min(case lower(coalesce(a.severity, a.labels ->> '$.severity', ''))
    when 'critical' then 0 when 'fatal' then 0 when 'emergency' then 0 when 'page' then 0 when 'disaster' then 0
    when 'error' then 1 when 'high' then 1
    when 'warning' then 2 when 'warn' then 2 when 'average' then 2 when 'medium' then 2
    when 'info' then 3 when 'information' then 3 when 'low' then 3 when 'none' then 3 end)
  when 0 then 'critical' when 1 then 'error' when 2 then 'warning' when 3 then 'info' end
  from incident_alerts m join alerts a on a.id = m.alertId where m.incidentId = incidents.id);
update incidents set forPeople = 0 where exists (
  select 1 from policy_versions p where p.policyId = incidents.policyId and p.version = incidents.policyVersion
    and exists (select 1 from json_each(p.definition, '$.steps') s where s.value ->> 'type' = 'webhook')
    and not exists (select 1 from json_each(p.definition, '$.steps') s where s.value ->> 'type' in ('notify', 'channel')));

drop index incidents_waiting;
create index incidents_attention on incidents (
  (case when forPeople = 0 and assigned is null then 300 when snoozedUntil is not null then 200 when state = 'acknowledged' then 100 else 0 end
    + case severity when 'critical' then 0 when 'error' then 1 when 'warning' then 3 when 'info' then 4 else iif(urgency = 'high', 2, 5) end),
  firingSince, id
) where state <> 'resolved';
`;
