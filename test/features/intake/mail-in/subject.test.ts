import assert from "node:assert/strict";
import test from "node:test";
import { parseSubject } from "../../../../src/features/intake/mail-in/read-subject.ts";

for (const [subject, title, status, level] of [
  ["** PROBLEM Service Alert: db-1/disk is CRITICAL **", "db-1/disk", "firing", "critical"],
  ["** RECOVERY Service Alert: db-1/disk is OK **", "db-1/disk", "resolved", null],
  ["** ACKNOWLEDGEMENT Service Alert: db-1/disk is CRITICAL **", "db-1/disk", "acknowledged", "critical"],
  ["** PROBLEM Host Alert: db-1 is DOWN **", "db-1", "firing", null],
  ["[PROBLEM] http on web-1 is WARNING", "http on web-1", "firing", "warning"],
  ["Problem: High CPU on db-1", "High CPU on db-1", "firing", null],
  ["Resolved in 5m 2s: High CPU on db-1", "High CPU on db-1", "resolved", null],
  ["[FIRING:2] InstanceDown (node)", "InstanceDown (node)", "firing", null],
  ["[RESOLVED] InstanceDown (node)", "InstanceDown (node)", "resolved", null],
  ["[Zabbix] PROBLEM: disk full", "[Zabbix] disk full", "firing", null],
  ["[Zabbix] OK: disk full", "[Zabbix] disk full", "resolved", null],
  ["[web] [🔴 Down] timeout", "[web] timeout", "firing", null],
  ["[web] [✅ Up] 200 - OK", "[web] 200 - OK", "resolved", null],
  ["Re: AW: [RESOLVED] disk full", "disk full", "resolved", null],
  ["RECOVERY: RE[2]: disk full", "disk full", "resolved", null],
  ["DOWN - shop.example", "shop.example", "firing", null],
  ["ERROR: backup of db-1", "backup of db-1", "firing", "error"],
  ["Backup of db-1 finished", "Backup of db-1 finished", "event", null],
  ["Okay: this is a sentence", "Okay: this is a sentence", "event", null],
  ["Upgrade - new version", "Upgrade - new version", "event", null],
  ["Cron <root@db-1> /usr/bin/backup", "Cron <root@db-1> /usr/bin/backup", "event", null],
  ["OK", "OK", "event", null],
  ["OK:", "OK:", "event", null],
  ["constructor: x", "constructor: x", "event", null],
  ["", "", "event", null],
] as const)
  test(`the subject ${JSON.stringify(subject)} is ${status}`, () => {
    const { key: _, ...read } = parseSubject(subject);
    assert.deepEqual(read, { title, status, level });
  });

test("mails about one problem have one title, in every state", () => {
  const titles = ["PROBLEM: disk", "RECOVERY: disk", "OK: disk", "[RESOLVED] disk", "RE: PROBLEM: disk", "disk"];
  assert.deepEqual([...new Set(titles.map((subject) => parseSubject(subject).title))], ["disk"]);
});
