// The panel that signs in, and says who is signed in, where and for how long.
import { useEffect, useRef, useState } from "preact/hooks";
import { useTrait } from "./lib/model";
import { Card, Notice, panel, submitOnEnter, useCommand, usePanel, useUnique } from "./lib/panel";
import "./login.css";

export interface Known {
  address: string;
  user: string;
  verify: boolean;
}

export interface SignedIn {
  address: string;
  user: string;
  admin: boolean;
  project: string;
  projects: string[];
  valid_until: string | null;
}

/** How long a token is still good: "58 min left", "less than a minute left", "ended". */
export function timeLeft(until: string | null, now: number): string {
  if (until === null) return "";
  const minutes = (Date.parse(until) - now) / 60_000;
  if (minutes <= 0) return "ended";
  if (minutes < 1) return "less than a minute left";
  return minutes < 120 ? `${Math.floor(minutes)} min left` : `${Math.floor(minutes / 60)} h left`;
}

const LOOK = 15_000;

function Form() {
  const { model, commands, gone } = usePanel();
  const { run, running, error, setError } = useCommand();
  const [address, setAddress] = useState(useTrait<string>(model, "address"));
  const [user, setUser] = useState(useTrait<string>(model, "user"));
  const [verify, setVerify] = useState(useTrait<boolean>(model, "verify"));
  const [known, setKnown] = useState<Known[]>([]);
  const password = useRef<HTMLInputElement>(null);
  const id = useUnique();
  useEffect(() => {
    commands.send<Known[]>("known").then(setKnown, () => {});
  }, [commands]);
  const chooseAddress = (value: string) => {
    setAddress(value);
    const last = known.find((login) => login.address === value);
    if (last) {
      setUser(last.user);
      setVerify(last.verify);
    }
  };
  const signIn = async (event: Event) => {
    event.preventDefault();
    const secret = password.current?.value ?? "";
    const missing = !address.trim()
      ? "address of the server"
      : !user.trim()
        ? "user"
        : !secret
          ? "password"
          : "";
    if (missing) {
      setError(`The ${missing} is missing. Fill it in.`);
      return;
    }
    await run("sign_in", { address, user, verify }, secret);
    if (password.current) password.current.value = "";
  };
  const waiting = running !== "";
  return (
    <form class="hanami-login" onSubmit={signIn} onKeyDown={submitOnEnter} autocomplete="off">
      <label for={`${id}a`}>Server</label>
      <input
        id={`${id}a`}
        type="url"
        list={`${id}l`}
        value={address}
        onInput={(event) => chooseAddress(event.currentTarget.value)}
      />
      <datalist id={`${id}l`}>
        {[...new Set(known.map((login) => login.address))].map((value) => (
          <option key={value} value={value} />
        ))}
      </datalist>
      <label class="hanami-check">
        <input
          type="checkbox"
          checked={!verify}
          onChange={(event) => setVerify(!event.currentTarget.checked)}
        />
        self-signed
      </label>
      <label for={`${id}u`}>User</label>
      <input id={`${id}u`} value={user} onInput={(event) => setUser(event.currentTarget.value)} />
      <label for={`${id}p`} class="hanami-password">
        Password
      </label>
      <input id={`${id}p`} type="password" autocomplete="off" ref={password} />
      <button type="submit" class="hanami-primary" disabled={gone || waiting}>
        {running === "sign_in" ? "Signing in" : "Sign in"}
      </button>
      <div class="hanami-or">or</div>
      <button
        type="button"
        class="hanami-local"
        disabled={gone || waiting}
        onClick={() => run("start_local")}
      >
        {running === "start_local" ? "Starting" : "Start a local backend"}
      </button>
      {error && <Notice text={error} />}
    </form>
  );
}

function Status({ signed }: { signed: SignedIn }) {
  const { gone, commands } = usePanel();
  const { run, running, error } = useCommand();
  const [now, setNow] = useState(Date.now());
  const id = useUnique();
  useEffect(() => {
    const timer = setInterval(() => {
      setNow(Date.now());
      const left = signed.valid_until === null ? Infinity : Date.parse(signed.valid_until) - Date.now();
      if (left < 60_000) commands.send("refresh").catch(() => {});
    }, LOOK);
    return () => clearInterval(timer);
  }, [signed.valid_until, commands]);
  const left = timeLeft(signed.valid_until, now);
  const disabled = gone || running !== "";
  return (
    <div class="hanami-signed">
      <span>
        {signed.user}
        {signed.admin && " (admin)"} · <span class="hanami-quiet">{signed.address}</span>
      </span>
      <span>
        <label for={id}>project</label>{" "}
        <select
          id={id}
          value={signed.project}
          disabled={disabled}
          onChange={(event) => run("switch_project", { project: event.currentTarget.value })}
        >
          {signed.projects.map((project) => (
            <option key={project} value={project} selected={project === signed.project}>
              {project}
            </option>
          ))}
        </select>
      </span>
      {left && <span>{left}</span>}
      <span class="hanami-buttons">
        <button type="button" disabled={disabled} onClick={() => run("renew")}>
          Renew
        </button>
        <button type="button" disabled={disabled} onClick={() => run("sign_out")}>
          Sign out
        </button>
      </span>
      {error && <Notice text={error} />}
    </div>
  );
}

function Login() {
  const { model } = usePanel();
  const title = useTrait<string>(model, "title");
  const signed = useTrait<Partial<SignedIn>>(model, "signed_in");
  const inside = signed.user !== undefined;
  return (
    <Card title={title} pill={inside ? "signed in" : "signed out"} state={inside ? "finished" : "idle"}>
      {inside ? <Status signed={signed as SignedIn} /> : <Form />}
    </Card>
  );
}

export default panel(() => <Login />);
