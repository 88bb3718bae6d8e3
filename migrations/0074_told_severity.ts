/**
 * What was told of an alert in an incident: the highest severity with its time, and `former`: the labels that
 * webhooks have named it by, each with the time when it got others and the look that told their end. `leftAt`: its
 * route is another one since then. Unresolved incidents have told the severity that their notices show.
 */
export const sql = /* sql */ `
alter table incident_alerts add column severity text check (severity in ('critical', 'error', 'warning', 'info'));
alter table incident_alerts add column severityAt integer;
alter table incident_alerts add column leftAt integer;
alter table incident_alerts add column former text;
create index incident_alerts_left on incident_alerts (incidentId) where leftAt is not null;

update incident_alerts set severityAt = firingNotifiedAt, severity = (
  select case lower(coalesce(a.severity, ''))
    when 'critical' then 'critical' when 'fatal' then 'critical' when 'emergency' then 'critical'
    when 'page' then 'critical' when 'disaster' then 'critical'
    when 'error' then 'error' when 'high' then 'error'
    when 'warning' then 'warning' when 'warn' then 'warning' when 'average' then 'warning' when 'medium' then 'warning'
    when 'info' then 'info' when 'information' then 'info' when 'low' then 'info' when 'none' then 'info'
    else coalesce(i.severity, iif(i.urgency = 'high', 'critical', 'warning')) end
  from alerts a, incidents i where a.id = incident_alerts.alertId and i.id = incident_alerts.incidentId)
where firingNotifiedAt is not null and incidentId in (select id from incidents where state <> 'resolved');
`;
