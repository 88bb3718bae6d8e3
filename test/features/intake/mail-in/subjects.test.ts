import assert from "node:assert/strict";
import test from "node:test";
import { readMail } from "../../../../src/features/intake/mail-in/read-mail.ts";
import { parseSubject } from "../../../../src/features/intake/mail-in/read-subject.ts";

/** The mails of a program about one problem: its key, and what each of them says. */
const PROGRAMS: readonly (readonly [
  program: string,
  key: string,
  subjects: readonly (readonly [string, string, (string | null)?, string?])[],
])[] = [
  [
    "Uptime Kuma",
    "[shop]",
    [
      [
        "[Shop] [🔴 Down] connect ECONNREFUSED 192.0.2.1:443",
        "firing",
        null,
        "[Shop] connect ECONNREFUSED 192.0.2.1:443",
      ],
      ["[Shop] [🔴 Down] timeout of 48000ms exceeded", "firing", null, "[Shop] timeout of 48000ms exceeded"],
      ["[Shop] [✅ Up] 200 - OK", "resolved", null, "[Shop] 200 - OK"],
    ],
  ],
  [
    "Uptime Kuma, in a group",
    "[web] [shop (eu)]",
    [
      ["[Web] [Shop (EU)] [🔴 Down] Request failed with status code 502", "firing"],
      ["[Web] [Shop (EU)] [✅ Up] 200 - OK", "resolved"],
    ],
  ],
  [
    "Veeam",
    "daily vm",
    [
      ["[Failed] Daily VM (5 objects) 1 failed", "firing", "error"],
      ["[Warning] Daily VM (5 objects) 1 warning", "firing", "warning"],
      ["[Success] Daily VM (5 objects)", "resolved"],
      ["[Success] Daily VM (12 objects)", "resolved"],
    ],
  ],
  [
    "Azure",
    "sev2 azure monitor alert cpu on web-1 (microsoft.compute/virtualmachines)",
    [
      [
        "Fired:Sev2 Azure Monitor Alert cpu on web-1 (microsoft.compute/virtualmachines) at 1/1/2026 12:01:10 PM",
        "firing",
        "warning",
      ],
      [
        "Resolved:Sev2 Azure Monitor Alert cpu on web-1 (microsoft.compute/virtualmachines) at 1/1/2026 12:21:11 PM",
        "resolved",
      ],
    ],
  ],
  [
    "PRTG",
    "[prtg network monitor (p1)] ping (ping)",
    [
      ["[PRTG Network Monitor (P1)] Ping (Ping) Down (No response)", "firing"],
      ["[PRTG Network Monitor (P1)] Ping (Ping) Down ENDED (now: Up)", "resolved"],
    ],
  ],
  [
    "Checkmk",
    "checkmk: web-1/cpu",
    [
      ["Checkmk: web-1/CPU OK -> CRIT", "firing", "critical"],
      ["Checkmk: web-1/CPU CRIT -> WARN", "firing", "warning"],
      ["Checkmk: web-1/CPU CRIT -> OK", "resolved"],
    ],
  ],
  [
    "Checkmk, a host",
    "checkmk: web-1",
    [
      ["Checkmk: web-1 UP -> DOWN", "firing"],
      ["Checkmk: web-1 DOWN -> UP", "resolved"],
    ],
  ],
  [
    "LibreNMS",
    "web-1: devices up/down",
    [
      ["Alert for device web-1 - Devices up/down", "firing"],
      ["Device web-1 recovered from Devices up/down", "resolved"],
    ],
  ],
  [
    "New Relic",
    "[new relic] cpu % > 90 on web-1",
    [
      ["[New Relic] [Open] CPU % > 90 on web-1", "firing"],
      ["[New Relic] [Acknowledged] CPU % > 90 on web-1", "acknowledged"],
      ["[New Relic] [Closed] CPU % > 90 on web-1", "resolved"],
    ],
  ],
  [
    "UptimeRobot",
    "shop",
    [
      ["Monitor is DOWN: Shop", "firing"],
      ["Monitor is UP: Shop", "resolved"],
    ],
  ],
  [
    "Gatus",
    "[core/shop]",
    [
      ["[core/shop] Alert triggered", "firing", null, "[core/shop]"],
      ["[core/shop] Alert resolved", "resolved"],
    ],
  ],
  [
    "Beszel",
    "connection to web-1",
    [
      ["Connection to web-1 is down 🔴", "firing"],
      ["Connection to web-1 is up ✅", "resolved"],
    ],
  ],
  [
    "Beszel, a threshold",
    "web-1 cpu",
    [
      ["web-1 CPU above threshold", "firing"],
      ["web-1 CPU below threshold", "resolved"],
    ],
  ],
  [
    "Datadog",
    "[monitor alert] cpu is high on host:web-1",
    [
      ["[Monitor Alert] Triggered: CPU is high on host:web-1", "firing"],
      ["[Monitor Alert] Re-Triggered: CPU is high on host:web-1", "firing"],
      ["[Monitor Alert] Recovered: CPU is high on host:web-1", "resolved"],
    ],
  ],
  [
    "Healthchecks",
    "backup of db-1",
    [
      ["DOWN | Backup of db-1", "firing"],
      ["UP | Backup of db-1", "resolved"],
    ],
  ],
  [
    "Pingdom",
    "shop (shop.example)",
    [
      ["DOWN alert: Shop (shop.example) is DOWN", "firing"],
      ["UP alert: Shop (shop.example) is UP", "resolved"],
    ],
  ],
  [
    "Proxmox",
    "vzdump backup status (pve.example)",
    [
      ["vzdump backup status (pve.example): backup failed", "firing", "error"],
      ["vzdump backup status (pve.example): backup successful", "resolved"],
    ],
  ],
  [
    "Monit",
    "web: connection",
    [
      ["monit alert -- Connection failed web", "firing", "error"],
      ["monit alert -- Connection succeeded web", "resolved"],
    ],
  ],
  [
    "Icinga",
    "http on web-1",
    [
      ["[PROBLEM] http on web-1 is CRITICAL", "firing", "critical"],
      ["[RECOVERY] http on web-1 is OK", "resolved"],
    ],
  ],
  [
    "Zabbix",
    "high cpu on db-1",
    [
      ["Problem: High CPU on db-1", "firing"],
      ["Resolved in 5m 2s: High CPU on db-1", "resolved"],
    ],
  ],
  [
    "a script with counters and times",
    "backup of db-1",
    [
      ["ERROR: Backup of db-1 at 2026-01-31 08:00:00", "firing", "error"],
      ["FAILED: Backup of db-1 3 errors", "firing", "error"],
      ["OK: Backup of db-1 (2026-02-01 08:00)", "resolved"],
      ["OK: Backup of db-1 after 3 min 12 s", "resolved"],
    ],
  ],
];

for (const [program, key, subjects] of PROGRAMS)
  test(`the mails of ${program} about one problem have one key, in every state`, () => {
    for (const [subject, status, level, title] of subjects) {
      const found = parseSubject(subject);
      assert.deepEqual([found.status, found.key], [status, key], subject);
      if (level !== undefined) assert.equal(found.level, level, subject);
      if (title !== undefined) assert.equal(found.title, title);
    }
  });

test("different problems have different keys", () => {
  for (const [one, other] of [
    ["[Zabbix] [PROBLEM] disk full", "[Zabbix] [PROBLEM] cpu high"],
    ["[Zabbix] PROBLEM: disk full", "[Zabbix] PROBLEM: cpu high"],
    ["[FIRING:1] DiskFull db-1", "[FIRING:1] DiskFull db-2"],
    ["PROBLEM: port 443 on web-1", "PROBLEM: port 80 on web-1"],
    ["ERROR: Backup 1", "ERROR: Backup 2"],
    ["[Shop] [🔴 Down] x", "[Bank] [🔴 Down] x"],
    ["OK: 5 errors", "OK: 6 warnings"],
  ] as const)
    assert.notEqual(parseSubject(one).key, parseSubject(other).key, one);
});

test("a sentence is no state", () => {
  for (const subject of [
    "Backup of db-1 finished",
    "Disk will be up soon",
    "Alert for the team meeting",
    "Your invoice: June",
    "Door opened",
    "Re: is the server up?",
    "Level of the tank below threshold",
    "Weekly report - January",
    "Monitor is new: Shop",
  ])
    assert.equal(parseSubject(subject).status, "event", subject);
});

test("of a line that is not a subject, such as the first one of a text, the start is read with single spaces", async () => {
  const spaces = " ".repeat(60_000);
  assert.equal(parseSubject(`a${spaces}b`).title, "a b");
  assert.equal(parseSubject(`DOWN -${spaces}web`).title, "web");
  assert.ok(parseSubject(`x${"\t*".repeat(30_000)}y`).title.length <= 1000);
  const head = "From: a@example.org\r\nDate: Mon, 1 Jun 2026 08:00:00 +0000\r\n\r\n";
  const raw = Buffer.from(`${head}x${"\t".repeat(900)}y\r\n`);
  const { body, keys } = await readMail(raw, { sender: "a@example.org" });
  assert.deepEqual([body.subject, body.title, keys.subject], ["", "x y", "x y"]);
});
