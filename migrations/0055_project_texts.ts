/**
 * Bytes that projects store besides events: texts of alerts, timelines of incidents, logged requests
 * of receivers. Triggers keep the sums, so that they are right after a crash and whatever writes.
 */
const ROW = { alert: 300, entry: 100, request: 300 };

const alert = (row: string): string =>
  `${ROW.alert} + octet_length(${row}.key) + octet_length(${row}.labels) + octet_length(${row}.annotations) +
    ifnull(octet_length(${row}.generatorUrl), 0)`;
const entry = (row: string): string => `${ROW.entry} + octet_length(${row}.data)`;
const request = (row: string): string =>
  `${ROW.request} + octet_length(${row}.query) + octet_length(${row}.headers) + ifnull(octet_length(${row}.body), 0) +
    octet_length(${row}.outcome)`;

/** Where the project of a row is. */
interface Source {
  readonly projectId: string;
  readonly from: string;
}
const ofAlert = (row: string): Source => ({ projectId: `${row}.projectId`, from: "where true" });
const ofEntry = (row: string): Source => ({
  projectId: "projectId",
  from: `from incidents where id = ${row}.incidentId`,
});
const ofRequest = (row: string): Source => ({
  projectId: "projectId",
  from: `from receivers where id = ${row}.receiverId`,
});

const added = ({ projectId, from }: Source, bytes: string): string => `begin
  insert into project_texts (projectId, bytes) select ${projectId}, ${bytes} ${from}
  on conflict (projectId) do update set bytes = bytes + excluded.bytes;
end`;
const removed = ({ projectId, from }: Source, bytes: string): string => `begin
  update project_texts set bytes = max(0, bytes - (${bytes})) where projectId = (select ${projectId} ${from});
end`;

export const sql = /* sql */ `
create table project_texts (projectId text primary key, bytes integer not null) strict, without rowid;

insert into project_texts (projectId, bytes)
select projectId, sum(bytes) from (
  select projectId, sum(${alert("a")}) as bytes from alerts a group by projectId
  union all
  select i.projectId, sum(${entry("l")}) from incident_log l join incidents i on i.id = l.incidentId group by i.projectId
  union all
  select r.projectId, sum(${request("q")}) from receiver_requests q join receivers r on r.id = q.receiverId
    group by r.projectId
) group by projectId;

create trigger alerts_texts_added after insert on alerts ${added(ofAlert("new"), alert("new"))};
create trigger alerts_texts_removed after delete on alerts ${removed(ofAlert("old"), alert("old"))};
create trigger alerts_texts_changed after update of key, labels, annotations, generatorUrl on alerts
when ${alert("new")} <> ${alert("old")}
begin
  update project_texts set bytes = max(0, bytes + (${alert("new")}) - (${alert("old")})) where projectId = new.projectId;
end;
create trigger incident_log_texts_added after insert on incident_log ${added(ofEntry("new"), entry("new"))};
create trigger incident_log_texts_removed after delete on incident_log ${removed(ofEntry("old"), entry("old"))};
create trigger receiver_requests_texts_added after insert on receiver_requests
${added(ofRequest("new"), request("new"))};
create trigger receiver_requests_texts_removed after delete on receiver_requests
${removed(ofRequest("old"), request("old"))};
`;
