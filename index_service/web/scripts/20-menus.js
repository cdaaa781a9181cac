// A menu closes when one clicks or tabs elsewhere, and on Escape, which gives the focus back to it.
{
  const menus = document.querySelectorAll("details.menu");
  const closeAllBut = (target) => menus.forEach((menu) => menu.contains(target) || menu.removeAttribute("open"));
  document.addEventListener("click", (event) => closeAllBut(event.target));
  document.addEventListener("focusin", (event) => closeAllBut(event.target));
  menus.forEach((menu) =>
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.removeAttribute("open");
      menu.querySelector("summary").focus();
    }),
  );
}
