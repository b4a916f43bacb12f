// Before anything is painted: the theme that was chosen, so that nothing flashes.
{
  const chosen = localStorage.getItem("fairlead.theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
