import { anyOf, type SenderRow } from "./row.ts";

const WORK = "series.title, movie.title, artist.name, author.name";
const ALBUM = "albums.0.title, album.title, book.title";
/** What a Servarr program has worked on: `The Wire 1x03 The Buys`. */
const ABOUT = [
  `{{ ${WORK} }} {{ episodes.0.seasonNumber }}x{{ episodes.0.episodeNumber | pair }} {{ episodes.0.title | default:'' }}`,
  `{{ ${WORK} }} {{ ${ALBUM} }}`,
  `{{ ${WORK}, ${ALBUM} }}`,
];
const IMAGE = {
  name: "diun",
  kind: "{{ status }}",
  text: ["{{ platform }}, {{ created }}, {{ digest }} || {{ platform, created, digest }}"],
  level: "info",
  link: "{{ hub_link }}",
  labels: { host: "{{ hostname }}", provider: "{{ provider }}" },
};
const TRIGGER = "alarm.triggers.0.key, alarm.conditions.0.condition.source";

/** Programs at home. */
export const HOME_ROWS: readonly SenderRow[] = [
  { ...IMAGE, when: ["diun_version", "image", "status=new"], title: ["New image {{ image }}"] },
  { ...IMAGE, when: ["diun_version", "image"], title: ["Image {{ image }} was updated"] },
  {
    name: "unifi-protect",
    when: ["alarm.name", "alarm.triggers|alarm.conditions"],
    kind: `{{ ${TRIGGER} }}`,
    title: ["{{ alarm.name }}"],
    text: [`{{ ${TRIGGER} | capital }} {{ alarm.triggers.0.device }} || {{ ${TRIGGER} | capital }}`],
    level: "warning",
    link: "{{ alarm.eventLocalLink }}",
    labels: { device: "{{ alarm.triggers.0.device }}", trigger: `{{ ${TRIGGER} }}` },
  },
  // Sonarr, Radarr, Lidarr, Readarr, Prowlarr and Whisparr: https://wiki.servarr.com/sonarr/settings#connections
  {
    name: "servarr",
    when: ["eventType=health|healthrestored"],
    kind: "{{ eventType }}",
    title: ["{{ instanceName }}", "{{ eventType | capital }} – {{ type }} || {{ eventType | capital }}"],
    text: ["{{ message }}"],
    level: "{{ level }}",
    keepsLevel: true,
    key: ["{{ instanceName }}", "{{ type }}"],
    state: "{{ eventType }}",
    states: { health: "firing", healthrestored: "resolved" },
    link: "{{ wikiUrl, applicationUrl }}",
  },
  {
    name: "servarr",
    when: ["eventType", anyOf(`instanceName, ${WORK}, ${ALBUM}`)],
    kind: "{{ eventType }}",
    title: [
      "{{ instanceName }}",
      [...ABOUT.map((each) => `{{ eventType | capital }} – ${each}`), "{{ eventType | capital }}"].join(" || "),
    ],
    text: [
      ["{{ message, release.releaseTitle, episodeFile.relativePath, movieFile.relativePath }}", ...ABOUT].join(" || "),
    ],
    level: "{{ level, eventType }}",
    levels: {
      ...{ error: "error", warning: "warning", notice: "info", ok: "info" },
      ...{ manualinteractionrequired: "warning", "*": "info" },
    },
    link: "{{ wikiUrl, applicationUrl }}",
  },
  {
    name: "jellyfin",
    when: ["NotificationType", "ServerId|ServerName"],
    kind: "{{ NotificationType }}",
    title: [
      "{{ ServerName }}",
      "{{ Name }} {{ Status }} || {{ NotificationType | words }} {{ Name }} || {{ NotificationType | words }}",
    ],
    text: [
      "{{ ErrorMessage, LongErrorMessage, Overview, Description }}",
      "{{ NotificationUsername }} on {{ DeviceName }}",
    ],
    level: "{{ Status }}",
    levels: { failed: "error", aborted: "warning", completed: "info", "*": "" },
    link: "{{ ServerUrl }}",
    labels: { server: "{{ ServerName }}" },
  },
  {
    name: "plex",
    when: ["event=admindatabasecorrupted|admindatabasebackup", "Server.uuid|Server.title"],
    kind: "{{ event }}",
    title: ["Plex", "{{ event | within }} on {{ Server.title }} || {{ event | within }}"],
    labels: { server: "{{ Server.title }}" },
  },
  {
    name: "plex",
    when: ["event", "Server.uuid|Server.title", "Account|Player|Metadata"],
    kind: "{{ event }}",
    title: [
      "{{ Server.title }}",
      "{{ event | words }} – {{ Metadata.grandparentTitle }} {{ Metadata.title }} || {{ event | words }} – {{ Metadata.title }} || {{ event | words }}",
    ],
    text: ["{{ Account.title }} on {{ Player.title }}"],
    labels: { server: "{{ Server.title }}", account: "{{ Account.title }}" },
  },
  {
    name: "minio",
    when: ["EventName", "Key", "Records.0.s3"],
    kind: "{{ EventName }}",
    title: ["{{ Key }}", "{{ EventName | rest | words }}"],
    text: ["by {{ Records.0.userIdentity.principalId }}", "{{ Records.0.source.host }}"],
    level: "{{ EventName }}",
    levels: { s3objectremoveddelete: "warning", s3objectremoveddeletemarkercreated: "warning", "*": "" },
    labels: { bucket: "{{ Records.0.s3.bucket.name }}" },
  },
  {
    name: "duplicati",
    when: ["Extra.OperationName", "Data.ParsedResult"],
    kind: "{{ Extra.OperationName }}",
    title: ["{{ Extra.machine-name }}", "{{ Extra.OperationName }} {{ Extra.backup-name }} {{ Data.ParsedResult }}"],
    text: ["{{ Exception }}", "{{ Data.Errors }}", "{{ Data.Warnings }}", "{{ LogLines }}"],
    level: "{{ Data.ParsedResult }}",
    levels: { success: "info", warning: "warning", error: "error", fatal: "critical", "*": "" },
    key: ["{{ Extra.machine-name }}", "{{ Extra.backup-name }}", "{{ Extra.OperationName }}"],
    state: "{{ Data.ParsedResult }}",
    states: { success: "succeeded", warning: "firing", error: "firing", fatal: "firing", "*": "event" },
    labels: { backup: "{{ Extra.backup-name }}", host: "{{ Extra.machine-name }}" },
  },
];
