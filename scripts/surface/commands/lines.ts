// Command lines that are recorded against the demo, in their order. `{name}` is a value that an
// earlier line noted: `=> name=path.to.member` after a line keeps a member of its JSON output.

/** Commands that only read: each is run as JSON and as text beside a server, and as JSON without one. */
export const READING = `
projects list => project=projects.0.id
projects members shop
projects storage shop
projects raise
user list => user=users.1.id
user list --role Admin
user list --status disabled
user list --username viewer
user unlock
token list --all
key list --all => key=keys.0.id
key list --project shop
ntfy access
events list --limit 20 => event=events.0.id
events list --type order.* --limit 5
events list --level error,fatal --limit 5
events list --project shop --from 2h
audit list --action user --limit 10
audit list --action rule
audit list --user admin --limit 5
notifications list --user admin => notification=notifications.0.id
notifications list --user admin --status unread --limit 3
rules list => rule=rules.0.id
rules list --project shop --active
rules export
rules export --project infra --format ndjson
channels list => channel=channels.0.id
channels show PagerDuty
channels presets
channels presets telegram
webhooks list => webhook=webhooks.0.id
webhooks list --project shop
alerts list => alert=alerts.0.id
alerts list --resolved
alerts list --matcher alertname="HighLatency" --limit 1
alerts show {alert}
alerts explain CheckoutFails
alerts explain alertname=DiskFull cluster=main prism_demo=true
incidents list => incident=incidents.0.id
incidents list --state resolved
incidents show 3
incidents show 7 --user admin
incidents explain 3
incidents explain 5
explain {event}
explain {notification} --user admin
explain {alert}
explain {incident}
silences list => silence=silences.0.id
silences list --state active --limit 1
silences show {silence}
silences preview alertname="HighLatency"
silences preview --incident 3
oncall now
oncall next
oncall schedules
oncall shifts Infrastructure
oncall gaps Infrastructure
oncall days-off --user admin
oncall days-off --schedule Infrastructure
oncall conflicts
drill status
heartbeats list
heartbeats show nightly-backup
receivers list
receivers show Grafana
receivers presets
receivers requests Grafana
receivers test Grafana
integrations
integrations grafana
policies list
policies show "Demo team"
policies export
routes show
routes show --project shop
routes test alertname=DiskFull cluster=main prism_demo=true
queue status
queue status --queue timers
queue list --queue timers --state succeeded --limit 1
queue list --state dead
queue dead => job=jobs.0.id
queue list --id {job}
timers list => timer=timers.0.jobId
schedules list => schedule=schedules.0.id
export rules
export users
export notifications --project shop --format csv
export events --project infra
migrate status
docs
docs cli
help
version
health
config
`;

/**
 * Commands that change something, beside a server, as JSON unless they end with `--text`. `wait` is for
 * what the server then does by itself.
 */
export const CHANGING = `
user create --username ann --email ann@example.org --name "Ann Lee" --role Operator => ann=id
user create --username bob --status pending --text
user create --username ann
user create --username b
user approve bob --role Viewer
user role bob --add RuleManager --remove Viewer
user disable bob
user enable bob --text
user unlock bob
user reset-second-factor bob
user list --username ann
token create --user ann --name laptop --scopes events:read,rules:read --expires 30d => token=id
token create --user ann --text
token create --user ann --scopes nonsense
token list --user ann
token revoke {token}
token revoke {token}
token list --user ann --all --text
projects create Garage => garage=id
projects create "Second garage" --slug garage-2 --text
projects create Garage --slug garage
projects create Bad --slug "No slug"
projects rename garage "Old garage"
projects add-member garage ann --role editor
projects add-member garage bob --role viewer --text
projects add-member garage ann --role viewer
projects members garage
projects remove-member garage bob
projects storage garage --limit 5368709120
projects storage garage --text
key create --project garage --name first => key=id
key create --project garage --scopes events:write --expires 90d --text
key create --project garage --scopes nonsense
key rotate {key} --grace 1h => rotated=id
key list --project garage --all
key revoke {rotated}
key revoke {rotated} --project shop
send "Backup failed" --project garage --type backup.failed --severity error --source db-1 --dedupe-key k1 => event=id
send "Backup failed" --project garage --dedupe-key k1
send "For Ann" --to ann --title Hello --priority 600 --link https://example.org/ => notification=id
wait
send "Text" --text
send --data {"a":1} --type order.paid --project garage
send --data nonsense
events list --project garage --text
explain {event}
notifications list --user ann
notifications read --all --user ann
notifications ack {notification} --user ann --note Seen
notifications ack {notification} --user ann --text
trigger tea --delay 1h --notify ann --title Tea --body Ready => timer=jobId
trigger weekly --cron "0 9 * * 1" --timezone Europe/Berlin --event report.due --payload {"day":"today"}
trigger bad --cron "nonsense" --notify ann
timers list
timers cancel tea
timers cancel tea
timers list --text
schedules list --text
schedules pause "Daily stand-up"
schedules resume "Daily stand-up" --text
schedules run "Nightly stock count"
wait
schedules cancel weekly
schedules pause {timer}
rules test --condition "event.amount > 1000" --event {"type":"payment","amount":1500}
rules test --condition "event.amount > 1000" --event {"type":"payment","amount":15} --expect true --text
rules test --condition "event.amount >" --event {"type":"payment"}
rules backtest --condition "event.level == 'error'" --samples 2
rules disable "Slow requests"
rules enable "Slow requests" --text
rules delete "Deployment finished" --yes
rules delete "Deployment finished" --yes
channels create ntfy --user ann --field topic=ann-topic --name "Phone of Ann" => channel=id
channels create ntfy --user ann --field nonsense=1
channels create nonsense --user ann
channels update "Phone of Ann" --min-priority 500
channels update "Phone of Ann" --disable --text
channels test "Phone of Ann" --dry-run
channels show {channel}
channels delete "Phone of Ann" --yes
channels list --text
webhooks create https://127.0.0.1:9/hook --project garage --types order.*,backup.failed
webhooks create http://192.0.2.1/hook --project garage
webhooks disable https://127.0.0.1:9/hook
webhooks enable https://127.0.0.1:9/hook --text
webhooks list --project garage
webhooks delete https://127.0.0.1:9/hook --yes
alerts fire alertname=Flooded room=cellar --project garage --severity critical --summary "Water in the cellar"
wait
alerts fire alertname=Flooded room=attic --project garage --text
wait
alerts fire nonsense
alerts list --project garage
alerts show Flooded --project garage
incidents list --project garage => incident=incidents.0.id
incidents ack {incident} --note "On it"
incidents unack {incident}
wait
incidents snooze {incident} --for 2h --text
incidents unsnooze {incident}
wait
incidents note {incident} "A pump is on its way"
incidents add-responder {incident} ann
wait
incidents reassign {incident} ann
incidents reassign {incident} admin
wait
incidents escalate {incident}
wait
incidents resolve {incident} --note Dry
wait
incidents resolve {incident}
incidents show {incident} --text
incidents ack --all-open
page ann "The shop is slow" --urgency low => page=id
wait
page nobody "The shop is slow"
silences add room="cellar" --project garage --for 1h --comment Pump => silence=id
silences add nonsense
silences show {silence} --project garage --text
silences expire {silence} --project garage
silences expire {silence} --project garage
silences expire {silence}
oncall override Infrastructure --user ann --from 2026-11-25T12:00:00Z --to 2026-11-25T20:00:00Z --reason Dentist
oncall now --text
oncall add-days-off 2030-12-24 2030-12-26 --user ann --note Skiing
oncall change-days-off 2030-12-24 --last 2030-12-27 --user ann
oncall days-off --user ann --text
oncall delete-days-off 2030-12-24 --user ann
oncall shifts Nonsense
drill preferences --day tuesday --hour 10
heartbeats create "Night watch" --schedule "30 2 * * *" --timezone Europe/Berlin --grace 10m
heartbeats create Loop --every 5m --text
heartbeats create Bad --schedule nonsense
heartbeats ping night-watch
heartbeats ping night-watch --as fail --text
wait
heartbeats show night-watch
heartbeats pause night-watch
heartbeats resume night-watch
heartbeats delete night-watch --yes
heartbeats delete night-watch --yes
receivers create Doorbell --project garage => receiver=id
receivers create GitHub --preset github --secret 0123456789abcdef --text
receivers create Bad --preset nonsense
receivers update Doorbell --project garage --name "Front door" --notify none
receivers rotate "Front door" --project garage --grace 1h
receivers pause "Front door" --project garage
receivers resume "Front door" --project garage --text
receivers test "Front door" --project garage --body {"title":"Ring"}
receivers requests "Front door" --project garage
receivers delete "Front door" --project garage --yes
ntfy access everyone "news-*" read
ntfy access ann "backup-*" write --text
ntfy access
ntfy access --reset ann "backup-*"
ntfy access ann "bad topic" read
queue pause --queue digest
queue status --queue digest
queue resume --queue digest --text
queue resume --all
queue retry --id {job}
queue retry --queue timers
queue cancel --id {job}
queue drain --queue digest --yes
queue pause --queue nonsense
tail --project garage --from earliest --limit 2
tail --project garage --from earliest --limit 2 --text
user delete bob --yes
projects delete garage-2 --yes
projects delete garage --yes --text
projects delete garage --yes
audit list --action user --limit 10
audit list --action token --limit 5
audit list --action project --limit 10
audit list --action key --limit 10
audit list --action incident --limit 10
audit list --action receiver --limit 10
audit list --action heartbeat --limit 5
audit list --action job --limit 5 --text
`;

/** What goes wrong, beside a server; each as JSON and as text. */
export const FAILING = `
nonsense
projects
projects nonsense
projects list --nonsense
projects create
projects rename shop
projects members nonsense
projects list --url http://127.0.0.1:1
projects create Shop --url http://127.0.0.1:1 --token prt_nonsense
status --url http://127.0.0.1:1
tail --url http://127.0.0.1:1
projects list --url nonsense
projects list --config nonsense.json
events list --limit 0
events list --limit nonsense
events list --from nonsense
events list --project nonsense
events list --level nonsense
export nonsense
explain nonsense
explain 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
alerts show nonsense
alerts list --matcher nonsense
incidents show 999
incidents ack
incidents list --state nonsense
silences show nonsense
heartbeats show nonsense
receivers show nonsense
receivers replay Grafana 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
policies show nonsense
policies import nonsense.json
routes set nonsense.json
rules disable nonsense
rules import nonsense.json
rules test
channels show nonsense
channels presets nonsense
channels test nonsense
webhooks test nonsense
queue list --id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
queue pause
queue list --state nonsense
timers cancel nonsense
schedules run nonsense
trigger label
token create
token create --user nonsense
token revoke 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
key rotate
key revoke 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60
user create
user disable nonsense
user role admin
user import nonsense.csv
notifications list
notifications ack 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --user admin
oncall shifts nonsense
oncall override Infrastructure --user nonsense --to 8h
page nonsense text
docs nonsense
help nonsense
completion nonsense
integrations nonsense
import alertmanager nonsense.yml
migrate nonsense
restore nonsense.tar
vacuum
seed --users nonsense
serve
serve --port nonsense
status --token nonsense
projects list --token prt_nonsense
`;
