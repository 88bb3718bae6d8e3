/**
 * Clients that log in repeatedly until stdin closes. Arguments: base URL, number of clients,
 * password. Prints `ready`, then `done <logins>`.
 */
const [url = "", clients = "1", password = ""] = process.argv.slice(2);
let isOver = false;
let logins = 0;

process.stdin.on("end", () => {
  isOver = true;
});
process.stdin.resume();

const running = Array.from({ length: Number(clients) }, async (_, client) => {
  while (!isOver) {
    const answer = await fetch(`${url}/auth/login`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Forwarded-For": `10.0.0.${client + 1}` },
      body: JSON.stringify({ username: `client-${client}`, password }),
    });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`a login was answered ${answer.status}`);
    if (++logins === 1) console.log("ready");
  }
});
await Promise.all(running);
console.log(`done ${logins}`);
