import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { close, open, rmSync } from "node:fs";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { ControlSocketRefused, ListenRefused, withSocketPath } from "../../core/listening.ts";
import type { Logger } from "../../core/log.ts";
import { CONTROL, type Entrance, PORT } from "./live-settings.ts";
import { type Certificate, readCertificate, TLS_CIPHERS, type TlsFiles, TlsRefused } from "./tls.ts";
import { uWS } from "./uws.ts";

/** Only the account of the server may connect. */
const OTHERS_RIGHTS = 0o177;

/**
 * The Unix socket of a running server. Its file exists while connections are accepted; a file left
 * by a killed process is replaced.
 */
class ControlSocket {
  readonly #app: TemplatedApp;
  readonly #path: string;
  #socket: us_listen_socket | null = null;

  /** @throws ControlSocketRefused */
  constructor(app: TemplatedApp, path: string) {
    this.#app = app;
    this.#path = path;
    this.open();
  }

  /** Listens, again after {@link close}. @throws ControlSocketRefused */
  open(): void {
    if (this.#socket) return;
    try {
      rmSync(this.#path, { force: true });
      withSocketPath(this.#path, (path) => this.#listen(path));
    } catch (cause) {
      throw new ControlSocketRefused(this.#path, { cause });
    }
    if (!this.#socket) throw new ControlSocketRefused(this.#path);
  }

  /** The mode comes from the umask: bind and chmod would leave a moment with another mode. */
  #listen(path: string): void {
    const umask = process.umask(OTHERS_RIGHTS);
    try {
      this.#app.listen_unix((socket) => {
        if (socket) this.#socket = socket;
      }, path);
    } finally {
      process.umask(umask);
    }
  }

  /** Accepts no more connections; those that are open stay. */
  close(): void {
    if (!this.#socket) return;
    uWS.us_listen_socket_close(this.#socket);
    this.#socket = null;
    rmSync(this.#path, { force: true });
  }
}

/** Registers a protocol on the app of an entrance. */
type Mount = (app: TemplatedApp, entrance: Entrance) => void;

/** The app that receives the new connections of an entrance. */
interface Served {
  readonly app: TemplatedApp;
  readonly entrance: Entrance;
}

/** A port besides the main one. */
interface FurtherPort {
  readonly port: number;
  /** Names the port in errors. */
  readonly setting: string;
  /** Prefix of the routes that are at its root; empty: all are, as on the main port. */
  readonly face: string;
}

interface Port {
  readonly number: number;
  readonly socket: us_listen_socket;
  readonly served: Served;
}

/**
 * The listening sockets of the server: its ports, and the control socket and ports of faces, with
 * apps of their own. Mounted protocols are remembered: the library binds a certificate to an app, so a new certificate needs a
 * new app on the same ports, which receives new connections, while the old one serves the existing
 * ones.
 *
 * The library's certificates by server name do not help: `removeServerName` frees routes that open
 * connections still use (the next request on one ends the process), and clients without a server
 * name never get such a certificate.
 */
export class HttpListener {
  #tls: TlsFiles | null;
  #certificate: Certificate | null;
  readonly #mounts: Mount[] = [];
  /** For the ports without a face. */
  readonly #main: Served;
  /** All that have open connections. */
  readonly #apps: TemplatedApp[];
  /** Always without TLS: the file system decides who may open the socket. */
  readonly #control: TemplatedApp;
  #controlSocket: ControlSocket | null = null;
  #host = "";
  #ports: readonly Port[] = [];
  #paused: readonly Port[] = [];
  #isClosed = false;
  #connections = 0;

  /** @param tls the certificate's files; null for plain HTTP. @throws TlsRefused */
  constructor(tls: TlsFiles | null = null) {
    this.#tls = tls;
    this.#certificate = tls ? readCertificate(tls) : null;
    this.#main = { app: this.#makeApp(tls), entrance: PORT };
    this.#apps = [this.#main.app];
    this.#control = this.#makeApp(null);
  }

  get isTls(): boolean {
    return this.#tls !== null;
  }

  /** The certificate of new connections; null without TLS. */
  get certificate(): Certificate | null {
    return this.#certificate;
  }

  /** Accepted minus closed connections; upgraded ones stay counted. */
  get openConnections(): number {
    return this.#connections;
  }

  #makeApp(tls: TlsFiles | null): TemplatedApp {
    const app = makeApp(tls);
    app.filter((_res, change) => this.#counted(Number(change)));
    return app;
  }

  #counted(change: number): void {
    this.#connections += change;
  }

  /** Registers a protocol. @param put is called again for every app of a new certificate */
  mount(put: Mount): void {
    this.#mounts.push(put);
    put(this.#main.app, PORT);
    put(this.#control, CONTROL);
  }

  /** Registers the handler of all requests without a WebSocket route. Mount it last. */
  serve(handle: (res: HttpResponse, req: HttpRequest, entrance: Entrance) => void): void {
    this.mount((app, entrance) => app.any("/*", (res, req) => handle(res, req, entrance)));
  }

  /**
   * Listens exclusively: otherwise uWebSockets shares a port in use, and two servers get half of
   * the traffic each. With TLS a second app must be able to share the port later, so exclusive use
   * is only tested first.
   * @param port 0 for a free one. @param others its further ports. @returns the port.
   * @throws ListenRefused
   */
  listen(host: string, port: number, others: readonly FurtherPort[] = []): number {
    this.#host = host;
    const taken = this.#take(this.#main, port, "");
    for (const other of others) this.#take(this.#servedAt(other.face), other.port, other.setting);
    return taken;
  }

  #servedAt(face: string): Served {
    if (face === "") return this.#main;
    const entrance = { isControl: false, face };
    const served = { app: this.#makeApp(this.#tls), entrance };
    for (const put of this.#mounts) put(served.app, entrance);
    this.#apps.push(served.app);
    return served;
  }

  /**
   * Also listens on a Unix socket that only this account may open. The caller holds the lock on its
   * directory. @throws ControlSocketRefused
   */
  listenControl(path: string): void {
    this.#controlSocket = new ControlSocket(this.#control, path);
  }

  #take(served: Served, port: number, setting: string): number {
    const { app } = served;
    const exclusive = listenOn(app, this.#host, port, EXCLUSIVE_PORT);
    if (!exclusive) throw new ListenRefused(this.#host, port, setting);
    const number = uWS.us_socket_local_port(exclusive);
    if (this.isTls) uWS.us_listen_socket_close(exclusive);
    const socket = this.isTls ? listenOn(app, this.#host, number, SHARED_PORT) : exclusive;
    if (!socket) throw new ListenRefused(this.#host, port, setting);
    this.#ports = [...this.#ports, { number, socket, served }];
    return number;
  }

  /**
   * Reads the certificate's files again, for new connections; open ones are not affected.
   * @param tls the current files. @returns false if they are unchanged.
   * @throws TlsRefused without changing anything.
   */
  renewCertificate(tls: TlsFiles): boolean {
    const certificate = readCertificate(tls);
    if (certificate.digest === this.#certificate?.digest || this.#ports.length === 0) return false;
    const renewed = new Map<Served, Served>();
    const renew = (served: Served): Served => {
      const { entrance } = served;
      const next = renewed.get(served) ?? { app: this.#makeApp(tls), entrance };
      if (!renewed.has(served)) for (const put of this.#mounts) put(next.app, entrance);
      renewed.set(served, next);
      return next;
    };
    const ports = this.#ports.map(({ number, served: old }) => {
      const served = renew(old);
      const socket = listenOn(served.app, this.#host, number, SHARED_PORT);
      if (socket) return { number, socket, served };
      for (const { app } of renewed.values()) app.close();
      throw new TlsRefused(`cannot listen on port ${number} a second time for the new certificate`);
    });
    for (const { socket } of this.#ports) this.#retire(socket);
    this.#ports = ports;
    for (const { app } of renewed.values()) this.#apps.push(app);
    this.#tls = tls;
    this.#certificate = certificate;
    return true;
  }

  /**
   * The kernel resets connections in the queue of a closed socket, so it is closed one turn later,
   * when the loop has just emptied it. A connection in its TCP handshake at that moment is still
   * reset, and its client retries; Linux avoids that with `net.ipv4.tcp_migrate_req=1`.
   */
  #retire(socket: us_listen_socket): void {
    setImmediate(() =>
      setImmediate(() => {
        if (!this.#isClosed) uWS.us_listen_socket_close(socket);
      }),
    );
  }

  /** {@link stopListening} until {@link resume}. */
  pause(): void {
    this.#paused = this.#ports;
    this.stopListening();
  }

  /** Listens again on the ports of {@link pause}, except those taken by another process. */
  resume(): void {
    if (this.#isClosed) return;
    this.#controlSocket?.open();
    for (const { number, served } of this.#paused) {
      const socket = listenOn(served.app, this.#host, number, this.isTls ? SHARED_PORT : EXCLUSIVE_PORT);
      if (socket) this.#ports = [...this.#ports, { number, socket, served }];
    }
    this.#paused = [];
  }

  /** Accepts no new connections; open ones stay. */
  stopListening(): void {
    for (const { socket } of this.#ports) uWS.us_listen_socket_close(socket);
    this.#ports = [];
    this.#controlSocket?.close();
  }

  close(): void {
    this.#ports = [];
    this.#isClosed = true;
    for (const app of [...this.#apps, this.#control]) app.close();
  }
}

/** `LIBUS_LISTEN_…`; the enum of the types does not exist at run time in every build. */
const SHARED_PORT = 0;
const EXCLUSIVE_PORT = 1;

/** @throws TlsRefused */
function makeApp(tls: TlsFiles | null): TemplatedApp {
  if (!tls) return uWS.App();
  try {
    return uWS.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile, ssl_ciphers: TLS_CIPHERS });
  } catch (cause) {
    // They were readable a moment ago, so they are probably being written.
    throw new TlsRefused(`the certificate in ${tls.certFile} and its key cannot be used`, { cause });
  }
}

function listenOn(app: TemplatedApp, host: string, port: number, options: number): us_listen_socket | null {
  // The types lack this overload of listen(host, port, options, callback).
  const listen = app.listen.bind(app) as unknown as (
    host: string,
    port: number,
    options: number,
    callback: (socket: us_listen_socket | false) => void,
  ) => void;
  let taken: us_listen_socket | null = null;
  listen(host, port, options, (socket) => {
    if (socket) taken = socket;
  });
  return taken;
}

/** Counts running requests, and requests that arrive while the server drains. */
export class ActiveRequests {
  #count = 0;
  #upgraded = 0;
  #lastAt = 0;
  #isDraining = false;
  #whenIdle: (() => void) | null = null;

  get count(): number {
    return this.#count;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Time of the last request, by performance.now(); kept only while draining. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Upgraded connections since the start: the library reports upgrades, but not their end. */
  get upgraded(): number {
    return this.#upgraded;
  }

  began(): void {
    this.#count++;
    if (this.#isDraining) this.#lastAt = performance.now();
  }

  ended(status: number): void {
    this.#count--;
    if (status === 101) this.#upgraded++;
    if (this.#count === 0) this.#whenIdle?.();
  }

  /** Starts to drain. Resolves when the running requests are answered. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }
}

/** Time without requests after which idle connections are closed. */
const QUIET_MS = 250;
/** Longest wait for clients that keep sending requests. */
const LIMIT_MS = 1000;
/** Both are at most this share of a short `shutdownMs`. */
const SHARE = 0.05;
const QUIET_CHECK_MS = 10;

/**
 * Resolves when the connections of a draining server may be closed: none are left, or no request
 * has arrived for a while. Closing a connection with a request in flight leaves its client without
 * an answer.
 * @param shutdownMs time limit of the whole stop
 */
export async function lastRequests(
  requests: ActiveRequests,
  listener: Pick<HttpListener, "openConnections">,
  shutdownMs: number,
): Promise<void> {
  const startedAt = performance.now();
  const quietMs = Math.min(QUIET_MS, shutdownMs * SHARE);
  const limitMs = Math.min(LIMIT_MS, shutdownMs * SHARE * (LIMIT_MS / QUIET_MS));
  const hasConnections = (): boolean => listener.openConnections > requests.upgraded;
  const sinceLastMs = (): number => performance.now() - Math.max(startedAt, requests.lastAt);
  while (hasConnections() && sinceLastMs() < quietMs && performance.now() - startedAt < limitMs)
    await delay(QUIET_CHECK_MS);
  // The first turn reads data that has arrived; its answers are sent in the second.
  for (let turn = 0; turn < 2; turn++) await nextTurn();
}

const DESCRIPTOR_CHECK_MS = 500;
/** This many descriptors must be free before connections are accepted again. */
const SPARE = 16;

interface Accepting {
  pause(): void;
  /** Accepts connections again. */
  resume(): void;
}

/**
 * Without free file descriptors a pending connection cannot be accepted, and the loop is woken for
 * it all the time. Until some are free the server does not listen: clients are refused, existing
 * connections continue.
 */
export class DescriptorWatch {
  readonly #accepting: Accepting;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #isPaused = false;

  constructor(accepting: Accepting, log: Logger) {
    this.#accepting = accepting;
    this.#log = log;
  }

  start(): void {
    // Not unref'd: while the server does not listen, nothing else may keep the process alive.
    this.#timer = setInterval(() => void this.check(), DESCRIPTOR_CHECK_MS);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  async check(): Promise<void> {
    const isFree = await hasFree(this.#isPaused ? SPARE : 1);
    if (this.#timer === null || isFree !== this.#isPaused) return;
    this.#isPaused = !isFree;
    if (isFree) {
      this.#accepting.resume();
      this.#log.info({}, "file descriptors are free again; accepting connections");
    } else {
      this.#accepting.pause();
      this.#log.error({}, "out of file descriptors; accepting no connections for now: raise LimitNOFILE");
    }
  }
}

const openFile = promisify(open);
const closeFile = promisify(close);

async function hasFree(count: number): Promise<boolean> {
  const opened = await Promise.allSettled(Array.from({ length: count }, () => openFile("/dev/null", "r")));
  const descriptors = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  await Promise.all(descriptors.map((descriptor) => closeFile(descriptor)));
  return !opened.some((each) => each.status === "rejected" && isExhausted(each.reason));
}

function isExhausted(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EMFILE" || code === "ENFILE";
}
