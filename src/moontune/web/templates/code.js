// Asks for the code that the terminal shows; who gave it finds the page itself at this address.
import { ask, at, onSubmit } from "/request.js";

onSubmit(at("enter"), async () => {
  try {
    await ask("/code", JSON.stringify({ code: at("code").value }));
    location.reload();
  } catch (error) {
    at("status").textContent = error.message;
    at("status").className = "note worse";
    at("code").select();
  }
});
