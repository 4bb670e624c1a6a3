package fornax.nn;

import fornax.tensor.Numerics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/// Finds the module that an operation was called in, by the classes on the call stack: there are
/// many modules of a class, and the one meant is that round the parameter that was read last, or
/// the next behind it in the order of registration.
final class ModuleLayers implements Numerics.Layers {
  /// @param classes of the modules from the outermost to this one
  private record Place(String path, List<Class<?>> classes) {}

  private final List<Place> places = new ArrayList<>(); // in the order of registration

  ModuleLayers(Module root) {
    collect("", root, List.of());
  }

  private void collect(String path, Module module, List<Class<?>> outer) {
    List<Class<?>> classes = new ArrayList<>(outer);
    classes.add(module.getClass());
    places.add(new Place(path, classes));
    for (Map.Entry<String, Module> child : module.children().entrySet()) {
      collect(
          path.isEmpty() ? child.getKey() : path + "." + child.getKey(), child.getValue(), classes);
    }
  }

  @Override
  public String path(List<Class<?>> frames, @Nullable String lastParameter) {
    List<Class<?>> chain = new ArrayList<>(); // the outermost first
    for (Class<?> frame : frames) {
      boolean repeated = !chain.isEmpty() && chain.getFirst() == frame;
      if (Module.class.isAssignableFrom(frame) && frame != Module.class && !repeated) {
        chain.addFirst(frame);
      }
    }
    int last = lastParameter == null ? 0 : indexOf(lastParameter);
    for (; !chain.isEmpty(); chain.removeLast()) {
      int found = nearest(chain, last);
      if (found >= 0) {
        return places.get(found).path();
      }
    }
    return "";
  }

  // The module that holds the parameter.
  private int indexOf(String parameter) {
    int dot = parameter.lastIndexOf('.');
    String path = dot < 0 ? "" : parameter.substring(0, dot);
    for (int i = 0; i < places.size(); i++) {
      if (places.get(i).path().equals(path)) {
        return i;
      }
    }
    return 0;
  }

  private int nearest(List<Class<?>> chain, int last) {
    int round = -1;
    int before = -1;
    int after = -1;
    for (int i = 0; i < places.size(); i++) {
      if (ends(places.get(i).classes(), chain)) {
        round = isRound(places.get(i).path(), places.get(last).path()) ? i : round;
        before = i < last ? i : before;
        after = i > last && after < 0 ? i : after;
      }
    }
    return round >= 0 ? round : after >= 0 ? after : before;
  }

  private static boolean isRound(String outer, String inner) {
    return outer.isEmpty() || inner.equals(outer) || inner.startsWith(outer + ".");
  }

  // Whether `chain` are some of `classes`, in order, and the last of both fit.
  private static boolean ends(List<Class<?>> classes, List<Class<?>> chain) {
    int at = chain.size() - 1;
    if (!chain.get(at).isAssignableFrom(classes.getLast())) {
      return false;
    }
    for (int i = classes.size() - 1; i >= 0 && at >= 0; i--) {
      if (chain.get(at).isAssignableFrom(classes.get(i))) {
        at--;
      }
    }
    return at < 0;
  }
}
