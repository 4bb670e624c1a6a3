package fornax.benchmarks;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What no class of the program does, told from the class files: read Java objects, run what a user
/// wrote, or find classes by a name that comes from outside. The few places that start a program,
/// load a library or look up a class by name are listed, so that a new one is seen.
class SecurityRulesTest {
  private static final JavaClasses FORNAX =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("fornax")
          .that(not(resideInAnyPackage("fornax.benchmarks..", "fornax.testkit..")));

  @ParameterizedTest
  @ValueSource(
      strings = {
        "java.io.ObjectInputStream",
        "java.io.ObjectInputFilter",
        "java.beans.XMLDecoder",
        "java.rmi.Remote",
        "javax.naming.Context",
        "javax.script.ScriptEngine",
        "javax.script.ScriptEngineManager",
        "java.net.URLClassLoader",
        "javax.management.remote.JMXConnectorServer",
        "org.yaml.snakeyaml.Yaml"
      })
  void nothingReadsObjectsOrRunsTexts(String name) {
    noClasses().should().dependOnClassesThat().haveFullyQualifiedName(name).check(FORNAX);
  }

  /// Jackson makes objects of the types that our code names, never of one that a file names.
  @Test
  void noFileNamesATypeForJackson() {
    assertEquals(
        Set.of(),
        callers(
            access ->
                access.getTargetOwner().getName().startsWith("com.fasterxml.")
                    && access.getName().endsWith("DefaultTyping")));
    noClasses()
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("com.fasterxml.jackson.annotation.JsonTypeInfo")
        .check(FORNAX);
  }

  private static Set<String> callers(Predicate<JavaAccess<?>> isOne) {
    Set<String> callers = new TreeSet<>();
    for (JavaClass type : FORNAX) {
      for (JavaAccess<?> access : type.getAccessesFromSelf()) {
        if (isOne.test(access)) {
          callers.add(type.getName().replaceFirst("\\$.*", ""));
        }
      }
    }
    return callers;
  }

  private static Predicate<JavaAccess<?>> call(String owner, String name) {
    return access ->
        access.getTargetOwner().getName().equals(owner) && access.getName().equals(name);
  }

  /// `npm`, `mvn`, and `sh` with a text of ours that asks how wide the terminal is.
  @Test
  void programsAreStartedInTheKnownPlacesAlone() {
    Set<String> callers =
        callers(call("java.lang.Runtime", "exec").or(call("java.lang.ProcessBuilder", "<init>")));
    assertEquals(
        Set.of("fornax.cli.Output", "fornax.data.MavenArtifact", "fornax.data.NpmPackage"),
        callers);
  }

  /// The methods of a backend, to time them.
  @Test
  void classesAreLookedUpByNameInTheKnownPlacesAlone() {
    Set<String> callers =
        callers(
            call("java.lang.Class", "forName")
                .or(call("java.lang.ClassLoader", "loadClass"))
                .or(call("java.lang.invoke.MethodHandles$Lookup", "findClass"))
                .or(call("java.lang.reflect.Method", "invoke"))
                .or(call("java.lang.reflect.Constructor", "newInstance")));
    assertEquals(Set.of("fornax.backend.OpTimes"), callers);
  }

  @Test
  void librariesAreLoadedInTheKnownPlacesAlone() {
    Set<String> callers =
        callers(
            call("java.lang.System", "load")
                .or(call("java.lang.System", "loadLibrary"))
                .or(call("java.lang.Runtime", "load"))
                .or(call("java.lang.foreign.SymbolLookup", "libraryLookup")));
    assertEquals(
        Set.of(
            "fornax.cpu.OneDnnLibrary",
            "fornax.cuda.CudaLibraries",
            "fornax.opencl.ClBlast",
            "fornax.opencl.OpenClLibrary"),
        callers);
  }
}
