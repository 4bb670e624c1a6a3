package fornax.benchmarks;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import fornax.backend.BackendProvider;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.net.URL;
import java.util.Collections;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The rules between modules that `module-info` cannot state. They hold for the classes of every
/// module, which is why they stand here, where every module is on the class path.
class ModuleRulesTest {
  private static final JavaClasses FORNAX =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("fornax");

  /// Guards the others: a package with no class in sight would satisfy any rule.
  @ParameterizedTest
  @ValueSource(
      strings = {
        "fornax.array",
        "fornax.backend",
        "fornax.tensor",
        "fornax.nn",
        "fornax.optim",
        "fornax.io",
        "fornax.conformance",
        "fornax.cpu",
        "fornax.cuda",
        "fornax.opencl",
        "fornax.models.gpt",
        "fornax.models.learn",
        "fornax.train",
        "fornax.serve",
        "fornax.data",
        "fornax.cli"
      })
  void everyPackageIsRead(String name) {
    assertFalse(FORNAX.that(resideInAPackage(name)).isEmpty(), name);
  }

  @ParameterizedTest
  @ValueSource(strings = {"fornax.cpu", "fornax.cuda", "fornax.opencl"})
  void backend_knowsOnlyTheContract(String backend) {
    noClasses()
        .that()
        .resideInAPackage(backend + "..")
        .should()
        .dependOnClassesThat(
            resideInAPackage("fornax..")
                .and(
                    not(
                        resideInAnyPackage(
                            backend + "..", "fornax.array..", "fornax.backend..", "fornax.io.."))))
        .because("a backend is an implementation of fornax.backend, with files beside it")
        .check(FORNAX);
  }

  @Test
  void files_holdArraysAndKnowNothingElse() {
    noClasses()
        .that()
        .resideInAPackage("fornax.io..")
        .should()
        .dependOnClassesThat(
            resideInAPackage("fornax..")
                .and(not(resideInAnyPackage("fornax.io..", "fornax.array.."))))
        .check(FORNAX);
  }

  @Test
  void contract_knowsNothingAboveIt() {
    noClasses()
        .that()
        .resideInAnyPackage("fornax.array..", "fornax.backend..")
        .should()
        .dependOnClassesThat(
            resideInAPackage("fornax..")
                .and(not(resideInAnyPackage("fornax.array..", "fornax.backend.."))))
        .check(FORNAX);
  }

  @ParameterizedTest
  @ValueSource(strings = {"fornax.cpu", "fornax.cuda", "fornax.opencl"})
  void backend_isKnownToNobody(String backend) {
    noClasses()
        .that()
        .resideOutsideOfPackages(backend + "..", "fornax.benchmarks..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(backend + "..")
        .because("backends are found through ServiceLoader")
        .check(FORNAX);
  }

  @ParameterizedTest
  @CsvSource({
    "jdk.incubator.vector, fornax.cpu",
    "jcuda, fornax.cuda",
    "org.lwjgl, fornax.opencl",
    "picocli, fornax.cli",
    "org.knowm.xchart, fornax.models.learn"
  })
  void library_isTouchedByOnePackageOnly(String library, String owner) {
    noClasses()
        .that()
        .resideOutsideOfPackage(owner + "..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(library + "..")
        .check(FORNAX);
  }

  /// Shows that a use of such a library is seen at all.
  @ParameterizedTest
  @CsvSource({"jdk.incubator.vector, fornax.cpu", "jcuda, fornax.cuda", "org.lwjgl, fornax.opencl"})
  void library_isTouchedByItsOwner(String library, String owner) {
    assertTrue(
        FORNAX.that(resideInAPackage(owner + "..")).stream()
            .flatMap(owned -> owned.getDirectDependenciesFromSelf().stream())
            .anyMatch(used -> used.getTargetClass().getPackageName().startsWith(library)),
        owner + " uses " + library);
  }

  /// Programs run on the class path, where `META-INF/services` counts; users may run on the module
  /// path, where `provides` does.
  @Test
  void providers_areTheSameOnBothPaths() throws IOException {
    Set<String> modules = new TreeSet<>();
    Set<String> provided = new TreeSet<>();
    for (URL url :
        Collections.list(getClass().getClassLoader().getResources("module-info.class"))) {
      try (InputStream in = url.openStream()) {
        ModuleDescriptor module = ModuleDescriptor.read(in);
        if (module.name().startsWith("fornax.")) {
          modules.add(module.name());
          module.provides().stream()
              .filter(service -> service.service().equals(BackendProvider.class.getName()))
              .forEach(service -> provided.addAll(service.providers()));
        }
      }
    }
    assertEquals(
        Set.of("fornax.core", "fornax.cpu", "fornax.cuda", "fornax.opencl", "fornax.models"),
        modules);
    Set<String> listed =
        ServiceLoader.load(BackendProvider.class).stream()
            .map(provider -> provider.type().getName())
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(provided, listed);
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching("fornax.(**)").should().beFreeOfCycles().check(FORNAX);
  }
}
