// needs: nginx, caddy
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { User } from "../../src/client/api-types.gen.ts";
import { get, PROXY } from "../features/access/proxy-header/support.ts";
import { startAccounts } from "../features/access/sessions/support/auth-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { listening } from "../helpers/listening.ts";
import { answered } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/signing-in-proxy.md"), "utf8");

/** The example of the page. */
function exampleOf(language: string): string {
  const [, text = ""] = new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(page) ?? [];
  assert.notEqual(text, "");
  return text;
}

/** What Authelia answers proxies: who has its cookie is Grace. */
function startAuthelia(t: TestContext): Promise<number> {
  const server = createServer((req, res) => {
    if (req.headers.cookie?.includes("authelia=grace"))
      res.writeHead(200, { "Remote-User": "grace", "Remote-Groups": "ops,staff" }).end();
    else res.writeHead(401, { Location: "https://auth.example.com/" }).end();
  });
  return listening(t, server);
}

interface Places {
  readonly port: number;
  readonly prism: number;
  readonly authelia: number;
}

/** The text with the ports of the test. */
function adapted(text: string, { prism, authelia }: Places): string {
  return text
    .replaceAll("127.0.0.1:3000", `127.0.0.1:${prism}`)
    .replaceAll("127.0.0.1:9091", `127.0.0.1:${authelia}`)
    .replaceAll(/"a random text of 16 characters or more"/g, `"${PROXY["auth.proxyHeader.secret"]}"`);
}

function run(t: TestContext, program: string, args: readonly string[], dir: string): void {
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin`, HOME: dir, XDG_DATA_HOME: dir };
  const child = spawn(program, args, { cwd: dir, env, stdio: ["ignore", "ignore", "inherit"] });
  t.after(() => child.kill("SIGTERM"));
}

const PROXIES: Readonly<Record<string, (t: TestContext, places: Places) => void>> = {
  nginx(t, places) {
    const dir = temporaryDir(t);
    mkdirSync(join(dir, "tmp"));
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (each) => `${each}_temp_path ${dir}/tmp;`,
    );
    // Authelia's authelia-location.conf, as far as it matters here.
    const authz = `location /internal/authelia/authz { internal; proxy_pass http://127.0.0.1:${places.authelia}/api/authz/auth-request; }`;
    const server = `server { listen 127.0.0.1:${places.port};\n${authz}\n${adapted(exampleOf("nginx"), places)}\n}`;
    const user = process.getuid?.() === 0 ? "user root;" : "";
    const main = `${user} pid ${dir}/pid; error_log ${dir}/error.log; events {}`;
    writeFileSync(join(dir, "nginx.conf"), `${main}\nhttp { access_log off; ${temporary.join(" ")}\n${server}\n}\n`);
    run(t, "nginx", ["-p", dir, "-e", join(dir, "error.log"), "-c", join(dir, "nginx.conf"), "-g", "daemon off;"], dir);
  },
  caddy(t, places) {
    const dir = temporaryDir(t);
    const site = adapted(exampleOf("caddyfile"), places).replace(
      "prism.example.com {",
      `http://127.0.0.1:${places.port} {`,
    );
    writeFileSync(join(dir, "Caddyfile"), `{\n  admin off\n  auto_https off\n}\n${site}`);
    run(t, "caddy", ["run", "--config", join(dir, "Caddyfile"), "--adapter", "caddyfile"], dir);
  },
};

for (const [name, startProxy] of Object.entries(PROXIES))
  test(`the page's example of ${name} signs in who has signed in at Authelia, and passes no header of a client`, async (t) => {
    const prism = await startAccounts(t, {
      settings: {
        ...PROXY,
        "auth.proxyHeader.groups": "Remote-Groups",
        "auth.proxyHeader.roles": '{"ops": "Operator"}',
      },
    });
    const { body: grace } = await answered(
      201,
      prism.post<User>("/api/v1/users", { username: "grace", status: "active" }),
    );
    const { body: root } = await answered(
      201,
      prism.post<User>("/api/v1/users", { username: "root", status: "active", roles: ["Admin"] }),
    );
    for (const { id, username } of [grace, root])
      await answered(
        201,
        prism.post(`/api/v1/users/${id}/identities`, { provider: "proxy:remote-user", subject: username }),
      );
    const places = { port: await lastingPort(), prism: prism.app.port, authelia: await startAuthelia(t) };
    startProxy(t, places);
    const url = `http://127.0.0.1:${places.port}`;
    await eventually(`${name} answers`, () =>
      get(`${url}/health`).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );

    const forged = {
      "Remote-User": "root",
      "Remote-Groups": "admins",
      "Prism-Proxy-Secret": PROXY["auth.proxyHeader.secret"],
    };
    const anonymous = await get(`${url}/auth/proxy`, forged);
    assert.ok([302, 401].includes(anonymous.status), `${anonymous.status} ${anonymous.text}`);
    assert.equal(anonymous.headers.location, "https://auth.example.com/");
    assert.equal(anonymous.headers["set-cookie"], undefined);

    for (const more of [{}, forged]) {
      const opened = await get(`${url}/auth/proxy`, { ...more, Cookie: "authelia=grace" });
      assert.equal(opened.status, 302, opened.text);
      const [cookie = ""] = opened.headers["set-cookie"] ?? [];
      const headers = { Cookie: cookie.split(";")[0] ?? "" };
      const { body } = await answered(
        200,
        prism.post<{ user: User }>("/api/v1/auth/refresh", {}, { token: null, headers }),
      );
      assert.equal(body.user.id, grace.id);
      assert.deepEqual(body.user.roles, ["Operator", "User"]);
    }
    const other = await get(`${url}/api/v1/users/me`, { ...forged, Cookie: "authelia=grace" });
    assert.equal(other.status, 401, "the rest of Prism has its own authentication");
  });
