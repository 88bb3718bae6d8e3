import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { close, open } from "node:fs";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";
import { ListenRefused } from "../core/listening.ts";
import type { Logger } from "../core/log.ts";
import { ControlSocket } from "./control-socket.ts";
import { type Certificate, readCertificate, TLS_CIPHERS, type TlsFiles, TlsRefused } from "./tls.ts";
import { uWS } from "./uws.ts";

/** Puts a protocol on an app. `isControl`: the app serves the control socket, not a port. */
type Mount = (app: TemplatedApp, isControl: boolean) => void;

/** A port that is listened on. */
interface Port {
  readonly number: number;
  readonly socket: us_listen_socket;
}

/**
 * The sockets of the server, one for each port, and the control socket, which has an app of its
 * own. What features put on it is remembered: the library binds a certificate to the app that was
 * made with it, so a new certificate means a new app on the same ports, which takes the new
 * connections, while the old one goes on with its own.
 *
 * The library's other way, certificates by server name, is of no use here: `removeServerName` frees
 * the routes that open connections of that name still read (the next request on one ends the
 * process), and clients that name no server never see such a certificate.
 */
export class HttpListener {
  #tls: TlsFiles | null;
  #certificate: Certificate | null;
  readonly #mounts: Mount[] = [];
  /** The last one takes new connections. */
  readonly #apps: [TemplatedApp, ...TemplatedApp[]];
  /** Always plain: who may open the socket is said by the file system. */
  readonly #control: TemplatedApp;
  #controlSocket: ControlSocket | null = null;
  #host = "";
  #ports: readonly Port[] = [];
  #paused: readonly number[] = [];
  #isClosed = false;
  #connections = 0;

  /** @param tls the files of the certificate; null speaks plain HTTP. @throws TlsRefused */
  constructor(tls: TlsFiles | null = null) {
    this.#tls = tls;
    this.#certificate = tls ? readCertificate(tls) : null;
    this.#apps = [this.#makeApp(tls)];
    this.#control = this.#makeApp(null);
  }

  get isTls(): boolean {
    return this.#tls !== null;
  }

  /** The certificate that new connections get; null without TLS. */
  get certificate(): Certificate | null {
    return this.#certificate;
  }

  /**
   * Connections that were accepted, less those that ended; one that became a WebSocket stays
   * counted.
   */
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

  /**
   * Features put their protocols on the server, before it listens. @param put is called again for
   * every app that a new certificate makes.
   */
  mount(put: Mount): void {
    this.#mounts.push(put);
    put(this.#apps[0], false);
    put(this.#control, true);
  }

  /** Every request that no WebSocket route takes. To be mounted last. */
  serve(handle: (res: HttpResponse, req: HttpRequest, isControl: boolean) => void): void {
    this.mount((app, isControl) => app.any("/*", (res, req) => handle(res, req, isControl)));
  }

  /**
   * Listening is exclusive: without it uWebSockets shares a taken port, and two servers each get
   * half of the traffic. With TLS the port must be one that a second app of ours can share later,
   * so it is only tried exclusively, and then taken shared.
   * @param port 0 for a free one. @param extraPorts on which the same is served. @returns the port.
   * @throws ListenRefused
   */
  listen(host: string, port: number, extraPorts: readonly number[] = []): number {
    this.#host = host;
    const taken = this.#take(port, false);
    for (const extra of extraPorts) this.#take(extra, true);
    return taken;
  }

  /**
   * Listens on a Unix socket, too, that only this account may open. The caller holds the lock on
   * its directory. @throws ControlSocketRefused
   */
  listenControl(path: string): void {
    this.#controlSocket = new ControlSocket(this.#control, path);
  }

  #take(port: number, isExtra: boolean): number {
    const [app] = this.#apps;
    const exclusive = listenOn(app, this.#host, port, EXCLUSIVE_PORT);
    if (!exclusive) throw new ListenRefused(this.#host, port, isExtra);
    const number = uWS.us_socket_local_port(exclusive);
    if (this.isTls) uWS.us_listen_socket_close(exclusive);
    const socket = this.isTls ? listenOn(app, this.#host, number, SHARED_PORT) : exclusive;
    if (!socket) throw new ListenRefused(this.#host, port, isExtra);
    this.#ports = [...this.#ports, { number, socket }];
    return number;
  }

  /**
   * Reads the certificate's files anew; connections made from now on get it, those that are open
   * stay as they are.
   * @param tls where the files are now. @returns false when they hold what is in use already.
   * @throws TlsRefused; then nothing has changed.
   */
  renewCertificate(tls: TlsFiles): boolean {
    const certificate = readCertificate(tls);
    if (certificate.digest === this.#certificate?.digest || this.#ports.length === 0) return false;
    const app = this.#makeApp(tls);
    for (const put of this.#mounts) put(app, false);
    const ports = this.#ports.map(({ number }) => {
      const socket = listenOn(app, this.#host, number, SHARED_PORT);
      if (socket) return { number, socket };
      app.close();
      throw new TlsRefused(`cannot listen on port ${number} a second time for the new certificate`);
    });
    for (const { socket } of this.#ports) this.#retire(socket);
    this.#ports = ports;
    this.#apps.push(app);
    this.#tls = tls;
    this.#certificate = certificate;
    return true;
  }

  /**
   * What waits in the queue of a socket that is closed is reset by the kernel, so it is closed when
   * the loop has just emptied it: a whole turn later. A connection whose TCP handshake is under way
   * at that moment still is, and its client tries again; Linux spares it that with
   * `net.ipv4.tcp_migrate_req=1`.
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
    this.#paused = this.#ports.map(({ number }) => number);
    this.stopListening();
  }

  /**
   * Listens again on the ports that {@link pause} has left; one that another process has taken is
   * left to it.
   */
  resume(): void {
    if (this.#isClosed) return;
    this.#controlSocket?.open();
    const app = this.#apps[this.#apps.length - 1] ?? this.#apps[0];
    for (const number of this.#paused) {
      const socket = listenOn(app, this.#host, number, this.isTls ? SHARED_PORT : EXCLUSIVE_PORT);
      if (socket) this.#ports = [...this.#ports, { number, socket }];
    }
    this.#paused = [];
  }

  /** Takes no new connections; those that are open stay. */
  stopListening(): void {
    for (const { socket } of this.#ports) uWS.us_listen_socket_close(socket);
    this.#ports = [];
    this.#controlSocket?.close();
  }

  /** Ends every connection. */
  close(): void {
    this.#ports = [];
    this.#isClosed = true;
    for (const app of [...this.#apps, this.#control]) app.close();
  }
}

/** `LIBUS_LISTEN_…`; the enum of the types does not exist at run time under every build. */
const SHARED_PORT = 0;
const EXCLUSIVE_PORT = 1;

/** @throws TlsRefused */
function makeApp(tls: TlsFiles | null): TemplatedApp {
  if (!tls) return uWS.App();
  try {
    return uWS.SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile, ssl_ciphers: TLS_CIPHERS });
  } catch (cause) {
    // They were readable a moment ago: somebody is writing them right now.
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

/** The requests that a server is at work on, and those that come while it drains. */
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

  /** When the last request came, as performance.now() has it; only kept while draining. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /**
   * Connections that became WebSockets since the start: the library reports their beginning, but
   * not their end.
   */
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

  /** From now on the server drains. Resolves when the requests under way are answered. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }
}

/** How long no request may come before kept connections are closed. */
const QUIET_MS = 250;
/** Clients that go on asking are waited for no longer than this. */
const LIMIT_MS = 1000;
/** Of a short `shutdownMs` the quiet and the limit are this part at most. */
const SHARE = 0.05;
const QUIET_CHECK_MS = 10;

/**
 * Resolves when the connections of a server that drains may be closed: there are none, or no
 * request has come on them for a while. A connection that is closed while a request is on its way
 * leaves the client without an answer.
 * @param shutdownMs how long the whole stop may take
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
  // The first turn reads what has arrived by now; its answers go out in the second one.
  for (let turn = 0; turn < 2; turn++) await nextTurn();
}

const DESCRIPTOR_CHECK_MS = 500;
/** So many descriptors must be free before connections are taken again. */
const SPARE = 16;

interface Accepting {
  /** Takes no new connections for now. */
  pause(): void;
  /** Takes connections again. */
  resume(): void;
}

/**
 * Without free file descriptors a connection that waits cannot be accepted, and the loop is woken
 * for it again and again. Until some are free, the server does not listen: clients are refused, the
 * connections there are go on.
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
    // Not unref'd: while the server does not listen, nothing else may keep the process running.
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
      this.#log.info({}, "file descriptors are free again; connections are accepted");
    } else {
      this.#accepting.pause();
      this.#log.error({}, "no file descriptor is free; no connections are accepted for now. Raise LimitNOFILE");
    }
  }
}

const openFile = promisify(open);
const closeFile = promisify(close);

/** Whether that many files can be opened. */
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
