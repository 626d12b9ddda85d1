// Sends a file to the address of this page's session; the answer is the name that opens it there.
const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));

function say(words) {
  const place = element.querySelector("[role=status]");
  if (place) place.textContent = words;
}

async function send(file) {
  if (file.size > Number(props.limit)) return say("The file is too large; send a single radiograph.");
  say("Sending the file.");
  for (let tries = 0; !props.address && tries < 200; tries++) await pause(100);
  try {
    const answer = await fetch(props.address, {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    const words = await answer.text();
    if (!answer.ok) return say(words.startsWith("{") ? JSON.parse(words).detail : words);
    props.value = words;
    trigger("input");
    say("");
  } catch {
    say("The file did not arrive; choose it again.");
  }
}

element.addEventListener("change", event => {
  const file = event.target.files && event.target.files[0];
  if (!file) return;
  send(file).finally(() => { event.target.value = ""; });
});
