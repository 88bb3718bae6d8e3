// Texts of a release: its notes and the page INSTALL.md of the archive.

/** @returns the text under the version's heading in the changelog. @throws Error without one */
export function sectionOf(changelog, version) {
  const [, ...sections] = changelog.split(/^## /m);
  const section = sections.find((each) => each.startsWith(`${version} `));
  if (section === undefined) throw new Error(`CHANGELOG.md has no heading for ${version}`);
  return section.slice(section.indexOf("\n")).trim();
}

/** RELEASE-NOTES.md. @param files names of the other files. @param publicKey null if they are unsigned */
export function releaseNotes({ about, section, files, glibc, publicKey }) {
  const { version, commit, node, sqlite, uWebSockets, platform } = about;
  // The pages are in the executable, and not beside the notes.
  const text = section.replace(/\[[^\]]+\]\(docs\/([\w/-]+)\.md[^)]*\)/g, (_, page) => `\`prism docs ${page}\``);
  const reasons = glibc.reasons.map((reason) => `\n${reason}.`).join("");
  return `# Prism ${version}

${text}

## What it needs

Linux (${platform}) with glibc ${glibc.newest} or newer.${reasons}

It contains Node.js ${node}, SQLite ${sqlite} and uWebSockets ${uWebSockets}${commit ? `, and is built from commit ${commit}` : ""}.

## Files

${files.map((file) => `- \`${file}\``).join("\n")}

Check them before you unpack them:

\`\`\`sh
sha256sum --check --ignore-missing SHA256SUMS
\`\`\`

${publicKey === null ? "**These files are not signed.** The checksums show damage, not who made the files." : signed(publicKey)}
`;
}

function signed(publicKey) {
  return `Each file has a signature beside it. Compare the key with the one that you have from elsewhere:

\`\`\`sh
minisign -Vm SHA256SUMS -P ${publicKey}
\`\`\``;
}

/** INSTALL.md. */
export function installText({ version, platform, glibc }) {
  return `# Prism ${version}

Alerting, notification and scheduling in one executable, for Linux (${platform}) with glibc
${glibc.newest} or newer. It needs nothing else.

Try it, in this folder, for this machine only:

    ./prism serve --dev

It prints a link to the console. The documentation is at http://localhost:3000/docs, and
\`./prism docs\` prints it.

Install it as a systemd service, or replace an installed one; configuration, secrets and data stay:

    sudo ./prism service install

| file | put it into |
|---|---|
| man/prism.1 | /usr/local/share/man/man1 |
| completions/prism.bash | /usr/share/bash-completion/completions, named prism |
| completions/_prism | a directory of zsh's $fpath |
| completions/prism.fish | /usr/share/fish/vendor_completions.d |
| systemd/ | nowhere: \`prism service install\` installs the same files |

LICENSES lists what the executable contains, sbom.cdx.json the same for programs (CycloneDX).
CHANGELOG.md says what changed, and \`./prism docs upgrade-notes\` what to do before an upgrade.
`;
}
